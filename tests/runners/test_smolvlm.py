"""SmolVLM without torch answers as with it: pixels, prompts, logits, tokens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from edgelab.problem import Problem
from runners.smolvlm.config import ImageConfig, read_config, read_image_config
from runners.smolvlm.export import export
from runners.smolvlm.graphs import full_tile_positions
from runners.smolvlm.layout import find_layout, precisions_of
from runners.smolvlm.model import SmolVlm
from runners.smolvlm.tiles import cut, grid_size
from tests.runners.tiny_smolvlm import build_smolvlm

QUESTION = "How many cats are in the image? Answer with a number only."
LOGIT_ERRORS = {"fp32": 1e-5, "fp16": 2e-3, "int8": 0.05, "q4": 0.25}
"""Relative to the logits' own length; that of q4 on random weights, which it suits worst."""

FAMILIES = ("idefics3", "smolvlm")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {each: build_smolvlm(folder / each, family=each) for each in FAMILIES}


@pytest.fixture(scope="module")
def exported(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolVLM in all precisions."""
    target = tmp_path_factory.mktemp("exported")
    for precision in LOGIT_ERRORS:
        export(checkpoints["idefics3"], target, precision)
    return target


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Torch:
    """The same checkpoint by transformers, on the pixels that our own preparation makes."""

    def __init__(self, folder: Path) -> None:
        self.model: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
        self.processor: Any = AutoProcessor.from_pretrained(folder)

    def inputs(self, image: NDArray[np.uint8], split: bool | None) -> Any:
        content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        options = {} if split is None else {"images_kwargs": {"do_image_splitting": split}}
        rgb = Image.fromarray(image[:, :, ::-1])
        return self.processor(images=[rgb], text=[text], return_tensors="pt", **options)

    def tokens(self, inputs: Any, count: int) -> tuple[int, ...]:
        made = self.model.generate(**inputs, max_new_tokens=count, do_sample=False)
        return tuple(made[0, inputs["input_ids"].shape[1] :].tolist())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("size", "split", "tiles"), [
    ((48, 64), None, 13), ((100, 30), None, 9), ((48, 64), False, 1),
])  # fmt: skip
def test_same_tokens_as_torch(
    checkpoints: dict[str, Path],
    tmp_path: Path,
    family: str,
    size: tuple[int, int],
    split: bool | None,
    tiles: int,
) -> None:
    export(checkpoints[family], tmp_path, "fp32")
    ours, theirs = SmolVlm(tmp_path, "fp32", 1), Torch(checkpoints[family])
    image, pieces = picture(*size), []
    seen = ours.look(image, split=split)
    answer = ours.answer(seen, QUESTION, 16, pieces.append)
    inputs = theirs.inputs(image, split)
    assert answer.prompt_tokens == inputs["input_ids"].shape[1]
    assert len(seen.tiles.pixels) == tiles
    assert seen.tokens == 16 * tiles
    inputs["pixel_values"] = torch.from_numpy(seen.tiles.pixels[None])
    assert answer.tokens == theirs.tokens(inputs, 16)
    assert "".join(pieces) == answer.text


def test_an_encoded_image_serves_all_questions(exported: Path) -> None:
    model = SmolVlm(exported, "fp32", 1)
    image = picture(40, 60)
    seen = model.look(image)
    first = model.answer(seen, QUESTION, 8)
    model.answer(seen, "What is it?", 8)
    assert model.answer(seen, QUESTION, 8).tokens == first.tokens
    assert model.answer(model.look(image), QUESTION, 8).tokens == first.tokens


@pytest.mark.parametrize("precision", LOGIT_ERRORS)
def test_logits_of_each_precision(
    checkpoints: dict[str, Path], exported: Path, precision: str
) -> None:
    ours, theirs = SmolVlm(exported, precision, 1), Torch(checkpoints["idefics3"])
    image = picture(100, 30)
    seen = ours.look(image)
    inputs = theirs.inputs(image, None)
    inputs["pixel_values"] = torch.from_numpy(seen.tiles.pixels[None])
    with torch.no_grad():
        wanted = theirs.model(**inputs).logits[0, -1].numpy()
    error = np.linalg.norm(ours.next_logits(seen, QUESTION, [0])[0] - wanted) / np.linalg.norm(
        wanted
    )
    assert error < LOGIT_ERRORS[precision]


def test_the_runner_loads_neither_torch_nor_transformers(exported: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), picture(50, 50))
    done = subprocess.run(
        [sys.executable, "-m", "tests.runners.smolvlm_answer", str(exported), "q4",
         str(tmp_path / "image.png")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["heavy"] == []
    assert len(answer["tokens"]) == 4


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), split=st.booleans())
def test_pixels_equal_transformers(height: int, width: int, split: bool) -> None:
    sizes = {"size": {"longest_edge": 128}, "max_image_size": {"longest_edge": 32}}
    theirs = Idefics3ImageProcessorPil(**sizes, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    image = picture(height, width)
    wanted = theirs(
        [[Image.fromarray(image[:, :, ::-1])]], do_image_splitting=split, return_tensors="np",
        return_row_col_info=True,
    )  # fmt: skip
    ours = cut(image, ImageConfig(**_edges(sizes)), None, split)
    assert np.array_equal(ours.pixels, wanted["pixel_values"][0])
    assert [[ours.rows]] == wanted["rows"]
    assert [[ours.columns]] == wanted["cols"]


def _edges(sizes: dict[str, dict[str, int]]) -> dict[str, Any]:
    from runners.smolvlm.config import Edge

    return {name: Edge(**size) for name, size in sizes.items()}


@given(width=st.integers(1, 4096), height=st.integers(1, 4096), side=st.integers(16, 512))
def test_a_grid_is_whole_tiles(width: int, height: int, side: int) -> None:
    wide, high = grid_size((width, height), side)
    assert wide % side == high % side == 0
    assert wide >= side
    assert high >= side


@pytest.mark.parametrize("side", [8, 27, 32])
def test_positions_of_a_full_tile(side: int) -> None:
    from transformers import Idefics3VisionConfig
    from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionEmbeddings

    config = Idefics3VisionConfig(hidden_size=1, image_size=side * 2, patch_size=2)
    embeddings = Idefics3VisionEmbeddings(config)
    with torch.no_grad():
        embeddings.patch_embedding.weight.zero_()
        embeddings.patch_embedding.bias.zero_()
        embeddings.position_embedding.weight.copy_(torch.arange(side * side)[:, None])
        whole = torch.ones(1, side, side, dtype=torch.bool)
        places = embeddings(torch.zeros(1, 3, side * 2, side * 2), whole)
    assert places.ravel().int().tolist() == full_tile_positions(side).tolist()


def test_bfloat16_is_read_exactly(tmp_path: Path) -> None:
    half = build_smolvlm(tmp_path / "half", dtype=torch.bfloat16)
    export(half, tmp_path / "onnx", "fp32")
    model = SmolVlm(tmp_path / "onnx", "fp32", 1)
    theirs = Torch(half)
    theirs.model = theirs.model.float()
    seen = model.look(picture(30, 30), split=False)
    inputs = theirs.inputs(picture(30, 30), False)
    inputs["pixel_values"] = torch.from_numpy(seen.tiles.pixels[None])
    assert model.answer(seen, QUESTION, 8).tokens == theirs.tokens(inputs, 8)


def test_the_older_file_layout(exported: Path, tmp_path: Path) -> None:
    """preprocessor_config.json and chat_template.json, as the hub has them."""
    for file in exported.iterdir():
        (tmp_path / file.name).symlink_to(file)
    newer = json.loads((exported / "processor_config.json").read_text())
    for name in ("processor_config.json", "chat_template.jinja"):
        (tmp_path / name).unlink()
    template = (exported / "chat_template.jinja").read_text()
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(newer["image_processor"]))
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert read_image_config(tmp_path) == read_image_config(exported)
    answers = [SmolVlm(each, "fp32", 1) for each in (exported, tmp_path)]
    one, other = (each.answer(each.look(picture(9, 9)), "?", 4) for each in answers)
    assert one.tokens == other.tokens


def test_precisions_are_found_by_their_files(exported: Path, tmp_path: Path) -> None:
    assert precisions_of(exported) == ("fp32", "fp16", "int8", "q4")
    assert precisions_of(tmp_path) == ()
    with pytest.raises(Problem, match=r"no vision_encoder_q4\.onnx"):
        find_layout(tmp_path, "q4")


def test_what_is_wrong_with_an_onnx_folder_is_one_line(exported: Path, tmp_path: Path) -> None:
    def ask(folder: Path) -> None:
        model = SmolVlm(folder, "fp32", 1)
        model.answer(model.look(picture(9, 9)), "?", 4)

    def said(changed: str, data: bytes) -> str:
        folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "m"
        shutil.copytree(exported, folder, copy_function=os.link)
        (folder / changed).unlink()
        (folder / changed).write_bytes(data)
        with pytest.raises(Problem) as caught:
            ask(folder)
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(f"{folder}").removeprefix(f"/{changed}")

    assert said("tokenizer.json", b"{}").startswith(": no tokenizer (")
    template = "chat_template.jinja"
    assert said(template, b"\xff").startswith(": no text in UTF-8")
    assert (
        said(template, b"{{ a.b }}")
        == ": its chat template fails (UndefinedError: 'a' is undefined)"
    )
    assert "SecurityError: access to attribute" in said(template, b"{{ ''.__class__.__mro__ }}")
    images = {"max_image_size": {"longest_edge": 32}}
    preprocessor = json.dumps({"image_processor": images}).encode()
    assert "Got invalid dimensions for input: pixel_values" in said(
        "processor_config.json", preprocessor
    )
    images = {"resample": 9}
    assert "resample = 9: expected `int` <= 5" in said(
        "processor_config.json", json.dumps({"image_processor": images}).encode()
    )
    embed = (exported / "onnx" / "embed_tokens.onnx").read_bytes()
    assert said("onnx/vision_encoder.onnx", embed) == ": no part of a SmolVLM: takes input_ids"


def test_a_question_with_an_image_token_is_refused(exported: Path) -> None:
    model = SmolVlm(exported, "fp32", 1)
    with pytest.raises(Problem, match="must not contain <image>"):
        model.answer(model.look(picture(9, 9)), "What is <image>?", 4)


@pytest.mark.parametrize(("change", "words"), [
    (lambda w: w.pop("model.connector.modality_projection.proj.weight"), "has no model.connector"),
    (lambda w: w.update({"extra.weight": torch.zeros(2)}), "more than a SmolVLM: extra.weight"),
    (lambda w: w.update({"model.text_model.norm.weight": torch.zeros(3)}), "is 3, config.json"),
])  # fmt: skip
def test_a_wrong_checkpoint_is_named(
    checkpoints: dict[str, Path], tmp_path: Path, change: Any, words: str
) -> None:
    for file in checkpoints["idefics3"].iterdir():
        (tmp_path / file.name).symlink_to(file)
    weights = load_file(tmp_path / "model.safetensors")
    change(weights)
    (tmp_path / "model.safetensors").unlink()
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(Problem, match=words):
        export(tmp_path, tmp_path / "target", "fp32")
    assert precisions_of(tmp_path / "target") == ()


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    with pytest.raises(Problem, match="model_type = 'qwen2_vl'"):
        read_config(tmp_path)
