"""The tiny checkpoints are real ones: what transformers loads from their folders can answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from PIL import Image  # noqa: E402  comes with the others

from tests.runners import tiny_vlms  # noqa: E402


def build_paligemma2(folder: Path) -> Path:
    return tiny_vlms.build_paligemma(folder, generation=2)


@pytest.mark.parametrize(
    ("build", "architecture", "prompt"),
    [
        (tiny_vlms.build_paligemma, "paligemma", "<image>how many?"),
        (build_paligemma2, "paligemma", "<image>how many?"),
        (
            tiny_vlms.build_qwen2_vl,
            "qwen2_vl",
            "<|vision_start|><|image_pad|><|vision_end|>how many?",
        ),
    ],
)
def test_a_tiny_checkpoint_loads_and_answers(
    build: Callable[[Path], Path], architecture: str, prompt: str, tmp_path: Path
) -> None:
    folder = build(tmp_path)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    assert model.config.model_type == architecture
    inputs = processor(images=Image.new("RGB", (40, 30)), text=prompt, return_tensors="pt")
    inputs.pop("labels", None)  # PaliGemma's processor gives them at inference, too
    output = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert output.shape[1] > inputs["input_ids"].shape[1]
