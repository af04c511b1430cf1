"""Every family, in both file layouts and all precisions, on tiny checkpoints."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgelab.problem import Problem
from edgelab.settings.common import Precision
from edgelab.vlm_weights import read_weights

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
bitsandbytes = pytest.importorskip("bitsandbytes")

from bitsandbytes.functional import dequantize_4bit  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from runners.asking.reply import StageOutOfMemory  # noqa: E402
from runners.vlm.asking import Asker, greedy  # noqa: E402
from runners.vlm.families import Seeing, Vlm  # noqa: E402
from runners.vlm.loading import load_vlm  # noqa: E402
from runners.vlm.proof import prove_loaded  # noqa: E402
from tests.runners import tiny_vlms as tiny  # noqa: E402
from tests.runners.tiny_smolvlm import build_smolvlm  # noqa: E402

BUILD: dict[str, Callable[[Path], Path]] = {
    "smolvlm": build_smolvlm,
    "smolvlm2": lambda folder: build_smolvlm(folder, family="smolvlm"),
    "qwen2-vl": tiny.build_qwen2_vl,
    "qwen2.5-vl": tiny.build_qwen2_5_vl,
    "paligemma": tiny.build_paligemma,
    "paligemma2": lambda folder: tiny.build_paligemma(folder, generation=2),
    "mobilevlm": tiny.build_mobilevlm,
}
HUB = [name for name in BUILD if name != "mobilevlm"]
QUESTION = "How many dogs are there?"
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))

# Largest error of a logit, as a share of the largest logit; a ceiling, chosen on these checkpoints.
# 4 bits of 32 random weights a row are worth little: NF4 is held against FP32 with the weights that
# NF4 has rounded, and what is left is the arithmetic.
LOGIT_ERROR = {"fp16": 0.01, "bf16": 0.05, "int8": 0.08, "int8-dynamic": 0.12, "nf4": 0.01}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The tiny checkpoint of a family, built when it is asked for first."""
    root, built = tmp_path_factory.mktemp("vlms"), dict[str, Path]()

    def get(name: str) -> Path:
        if name not in built:
            built[name] = BUILD[name](root / name)
        return built[name]

    return get


@pytest.mark.parametrize("older", [False, True], ids=["current", "older"])
@pytest.mark.parametrize("family", HUB)
def test_fp32_equals_transformers_own_generate_token_by_token(
    checkpoint: Callable[[str], Path], family: str, older: bool, tmp_path: Path
) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = checkpoint(family)
    vlm = load_vlm(_older(folder, tmp_path) if older else folder, Precision.FP32)
    asked = Asker(vlm, 12).ask(0, IMAGE, QUESTION)

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    images = getattr(processor.image_processor, "do_image_splitting", None)
    if images is not None:
        processor.image_processor.do_image_splitting = False
    prompt = vlm.prompt(QUESTION, "en")  # type: ignore[attr-defined]
    inputs = processor(text=[prompt], images=[IMAGE], return_tensors="pt")
    inputs.pop("labels", None)
    plain = model.generate(**inputs, do_sample=False, max_new_tokens=12)
    assert asked.ids == plain[0, inputs["input_ids"].shape[1] :].tolist()
    assert asked.prompt_tokens == inputs["input_ids"].shape[1]
    assert 0 < asked.image_tokens < asked.prompt_tokens


def _older(folder: Path, place: Path) -> Path:
    return tiny.to_older_layout(Path(shutil.copytree(folder, place / "older")))


@pytest.mark.parametrize("family", list(BUILD))
def test_each_precision_answers_within_its_logit_error_and_is_proven(
    checkpoint: Callable[[str], Path], family: str
) -> None:
    def logits(vlm: Vlm) -> torch.Tensor:
        inputs = vlm.inputs(IMAGE, QUESTION, "en")
        with torch.inference_mode():
            return vlm.model(**inputs).logits[0, -1].float()

    exact = load_vlm(checkpoint(family), Precision.FP32)
    for name, bound in {"fp32": 0.0, **LOGIT_ERROR}.items():
        precision = Precision(name)
        vlm = load_vlm(checkpoint(family), precision)
        if precision is Precision.NF4:
            _round_as(vlm, exact)
        expected = logits(exact)
        error = (logits(vlm) - expected).abs().max() / expected.abs().max()
        assert error <= bound, precision
        assert error > 0 or precision in (Precision.FP32, Precision.NF4)
        proof = prove_loaded(vlm.model)
        assert precision.value in proof.formats
        assert precision.value in proof.words
        assert proof.formats == read_weights(checkpoint(family)).formats(precision)
        if precision in (Precision.FP32, Precision.FP16, Precision.BF16):
            assert proof.words == f"100% {precision.value}"
        else:
            assert set(proof.formats) == {precision.value, "fp32"}


def _round_as(quantised: Vlm, exact: Vlm) -> None:
    """Give the layers of `exact` the weights that those of `quantised` stand for."""
    for name, layer in quantised.model.named_modules():
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            weights = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            exact.model.get_submodule(name).weight.data = weights


@pytest.mark.parametrize("family", list(BUILD))
def test_a_shared_encoding_gives_the_same_answer_and_is_labelled(
    checkpoint: Callable[[str], Path], family: str
) -> None:
    asker = Asker(load_vlm(checkpoint(family), Precision.FP32), 6)
    asker.ask("a", IMAGE, QUESTION)
    heard: list[str] = []
    again = asker.ask("a", IMAGE, "How many cats are there?", on_text=heard.append)
    alone = asker.ask("a", IMAGE, "How many cats are there?", share=False)
    other = asker.ask("b", IMAGE.rotate(90, expand=True), QUESTION)
    assert again.stages.vision_shared
    assert again.stages.vision == 0
    assert not alone.stages.vision_shared
    assert alone.stages.vision > 0
    assert not other.stages.vision_shared
    assert again.ids == alone.ids
    assert heard[-1] == again.text
    assert len(heard) == len(again.ids)
    stages = alone.stages
    total = stages.preprocess + stages.vision + stages.prefill
    assert total == pytest.approx(stages.first_token, rel=1e-6)


def test_pixels_and_tiles_decide_the_image_tokens(checkpoint: Callable[[str], Path]) -> None:
    def tokens(family: str, seeing: Seeing) -> int:
        vlm = load_vlm(checkpoint(family), Precision.FP32, seeing)
        return vlm.image_tokens(vlm.inputs(IMAGE, QUESTION, "en"))

    assert tokens("qwen2-vl", Seeing(28 * 28)) == 1
    assert tokens("qwen2-vl", Seeing(56 * 56)) > 1
    assert tokens("smolvlm", Seeing()) == 16
    assert tokens("smolvlm", Seeing(tiling=True)) > tokens(
        "smolvlm", Seeing((56 * 56), tiling=True)
    )
    assert tokens("mobilevlm", Seeing()) == 144
    with pytest.raises(Problem, match="image size is fixed"):
        tokens("paligemma", Seeing(1000))


# MobileVLM V2 --------------------------------------------------------------------------------


def test_mobilevlm_equals_a_reference_from_first_principles(
    checkpoint: Callable[[str], Path],
) -> None:
    """The projector's pooling and convolution by hand, in float64, against the assembled model."""
    vlm = load_vlm(checkpoint("mobilevlm"), Precision.FP32)
    inputs = vlm.inputs(IMAGE, QUESTION, "en")
    held = load_file(checkpoint("mobilevlm") / "model.safetensors")
    with torch.inference_mode():
        states = vlm.model.tower(inputs["pixel_values"], output_hidden_states=True).hidden_states
        features = states[-2][0, 1:].double()
        tokens = _projected(features, held)
        words = vlm.model.llama.get_input_embeddings()
        embeds = torch.cat((words(inputs["before"])[0], tokens.float(), words(inputs["after"])[0]))[
            None
        ]
        expected = vlm.model.llama(inputs_embeds=embeds).logits
        found = vlm.model(**inputs).logits
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


def _projected(features: torch.Tensor, held: dict[str, torch.Tensor]) -> torch.Tensor:
    """(patches, 32) -> (144, 32), every sum written out."""
    mlp = {k.removeprefix("model.mm_projector.mlp.mlp."): v.double() for k, v in held.items()}
    hidden = features @ mlp["0.weight"].T + mlp["0.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
    hidden = hidden @ mlp["2.weight"].T + mlp["2.bias"]
    side = int(len(features) ** 0.5)
    grid = hidden.reshape(side, side, -1)
    pooled = torch.zeros(12, 12, 32, dtype=torch.float64)
    for row in range(12):
        for column in range(12):
            rows = slice(row * side // 12, -(-(row + 1) * side // 12))
            columns = slice(column * side // 12, -(-(column + 1) * side // 12))
            pooled[row, column] = grid[rows, columns].mean((0, 1))
    kernel = held["model.mm_projector.peg.peg.0.weight"].double()[:, 0]
    placed = pooled + held["model.mm_projector.peg.peg.0.bias"].double()
    for row in range(12):
        for column in range(12):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < 12 and 0 <= column + right < 12:
                        weight = kernel[:, down + 1, right + 1]
                        placed[row, column] += weight * pooled[row + down, column + right]
    return placed.reshape(144, 32)


def test_mobilevlm_generates_what_its_llama_would_step_by_step(
    checkpoint: Callable[[str], Path],
) -> None:
    vlm = load_vlm(checkpoint("mobilevlm"), Precision.FP32)
    asked = Asker(vlm, 6).ask(0, IMAGE, QUESTION)
    inputs = vlm.inputs(IMAGE, QUESTION, "en")
    ids: list[int] = []
    with torch.inference_mode():
        for _ in range(6):
            after = torch.cat((inputs["after"], torch.tensor([ids], dtype=torch.long)), dim=1)
            ids.append(int(vlm.model(**{**inputs, "after": after}).logits[0, -1].argmax()))
    assert asked.ids == ids


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_mobilevlm_loads_old_and_new_keys_from_both_kinds_of_file(
    checkpoint: Callable[[str], Path], older: bool, binary: bool, tmp_path: Path
) -> None:
    folder = tiny.build_mobilevlm(tmp_path / "other", older=older, binary=binary)
    asked = [
        Asker(load_vlm(each, Precision.FP32), 6).ask(0, IMAGE, QUESTION)
        for each in (folder, checkpoint("mobilevlm"))
    ]
    assert asked[0].ids == asked[1].ids


def test_a_wrong_mobilevlm_is_named_key_by_key(tmp_path: Path) -> None:
    folder = tiny.build_mobilevlm(tmp_path / "wrong")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.mm_projector.peg.peg.0.bias"]
    tensors["model.mm_projector.dwn.0.weight"] = torch.zeros(2)
    tensors["lm_head.weight"] = torch.zeros(3, 32)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(Problem) as caught:
        load_vlm(folder, Precision.FP32)
    said = str(caught.value)
    assert "missing: model.mm_projector.peg.peg.0.bias" in said
    assert "unknown: model.mm_projector.dwn.0.weight" in said
    assert "lm_head.weight is [3, 32], expected [" in said


# What cannot be loaded -----------------------------------------------------------------------


def test_a_pickle_with_code_in_it_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return print, ("this must not run",)

    folder = tiny.build_mobilevlm(tmp_path / "hostile", binary=True)
    torch.save({"lm_head.weight": Hostile()}, folder / "pytorch_model.bin")
    with pytest.raises(Problem, match=r"pytorch_model\.bin: refused, it is more than tensors"):
        load_vlm(folder, Precision.FP32)


def test_a_damaged_bin_is_one_line(tmp_path: Path) -> None:
    folder = tiny.build_qwen2_vl(tmp_path / "damaged")
    whole = folder / "model.safetensors"
    file = folder / "pytorch_model.bin"
    torch.save(load_file(whole), file)
    whole.unlink()
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(Problem) as caught:
        load_vlm(folder, Precision.FP32)
    assert "damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there_are_never_made_up(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoint("smolvlm"), tmp_path / "torn"))
    file = folder / "model.safetensors"
    whole = load_file(file)
    torn = {name: each for name, each in whole.items() if ".layers.1." not in name}
    save_file(torn, file, {"format": "pt"})
    with pytest.raises(Problem, match=r"torn: weights are missing: .*layers\.1.* and \d+ more$"):
        load_vlm(folder, Precision.FP32)
    name = "model.connector.modality_projection.proj.weight"
    save_file({**whole, name: torch.zeros(2, 3)}, file, {"format": "pt"})
    with pytest.raises(
        Problem, match=rf"other weights than config\.json says: {name} is 2 x 3, not"
    ):
        load_vlm(folder, Precision.FP32)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("model.safetensors", lambda _: b"", "SafetensorError: Error while deserializing header"),
        ("tokenizer.json", lambda _: b"[]", "cannot be loaded (TypeError: "),
        ("config.json", lambda data: data.replace(b'"patch_size": 8', b'"patch_size": 0'),
         "cannot be loaded (ZeroDivisionError: "),
    ],
)  # fmt: skip
def test_whatever_is_wrong_with_a_file_is_one_line(
    checkpoint: Callable[[str], Path],
    tmp_path: Path,
    file: str,
    change: Callable[[bytes], bytes],
    said: str,
) -> None:
    folder = Path(shutil.copytree(checkpoint("smolvlm"), tmp_path / "wrong"))
    (folder / file).write_bytes(change((folder / file).read_bytes()))
    with pytest.raises(Problem) as caught:
        load_vlm(folder, Precision.FP32)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"model_type": "llava"}', "model_type = 'llava': known are idefics3"),
        ('{"model_type": "mobilevlm", "mm_vision_tower": "x", "mm_projector_type": "ldpnet"}',
         "mm_projector_type = 'ldpnet': expected 'ldpnetv2'"),
        ("no json", "not valid JSON"),
    ],
)  # fmt: skip
def test_another_model_is_told_in_one_line(tmp_path: Path, config: str, said: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(Problem) as caught:
        load_vlm(tmp_path, Precision.FP32)
    assert said in str(caught.value)


def test_out_of_memory_says_in_which_stage(checkpoint: Callable[[str], Path]) -> None:
    vlm = load_vlm(checkpoint("smolvlm"), Precision.FP32)

    @functools.wraps(vlm.seer.get_image_features)
    def fail(*_: object, **__: object) -> None:
        torch.empty(1 << 60)

    vlm.seer.get_image_features = fail
    stages: list[str] = []
    with pytest.raises(StageOutOfMemory, match="in the stage vision encode"):
        Asker(vlm, 4, on_stage=stages.append).ask(0, IMAGE, QUESTION)
    assert stages == ["preprocess", "prefill", "vision encode"]
    del vlm.seer.get_image_features
    stages.clear()
    Asker(vlm, 4, on_stage=stages.append).ask(0, IMAGE, QUESTION)
    assert stages == ["preprocess", "prefill", "vision encode", "prefill", "decode"]


def test_greedy_overrides_a_checkpoint_that_samples(checkpoint: Callable[[str], Path]) -> None:
    vlm = load_vlm(checkpoint("smolvlm"), Precision.FP32)
    vlm.model.generation_config.do_sample = True
    asker = Asker(vlm, 8)
    assert asker.ask(0, IMAGE, QUESTION).ids == asker.ask(0, IMAGE, QUESTION).ids
    assert greedy(8)["do_sample"] is False
