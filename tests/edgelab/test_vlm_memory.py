"""The forecast's arithmetic on checkpoints of headers and nothing else."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.problem import Problem
from edgelab.settings.common import Precision
from edgelab.vlm_image import View, sight_of
from edgelab.vlm_memory import engine_of, onnx_memory, torch_memory
from edgelab.vlm_weights import read_weights

WIDE, NARROW, VOCABULARY = 64, 32, 100
SMOLVLM = {
    "model_type": "idefics3", "scale_factor": 2, "tie_word_embeddings": False,
    "vision_config": {"image_size": 64, "patch_size": 8, "hidden_size": NARROW,
                      "intermediate_size": WIDE},
    "text_config": {"hidden_size": NARROW, "intermediate_size": WIDE, "num_hidden_layers": 1,
                    "num_attention_heads": 4, "num_key_value_heads": 2},
}  # fmt: skip
TENSORS = {
    "model.vision_model.encoder.layers.0.mlp.fc1.weight": (WIDE, NARROW),
    "model.vision_model.encoder.layers.0.mlp.fc1.bias": (WIDE,),
    "model.vision_model.embeddings.position_embedding.weight": (64, NARROW),
    "model.text_model.embed_tokens.weight": (VOCABULARY, NARROW),
    "model.text_model.layers.0.self_attn.k_proj.weight": (16, NARROW),
    "model.text_model.layers.0.self_attn.v_proj.weight": (16, NARROW),
    "model.text_model.layers.0.mlp.up_proj.weight": (WIDE, NARROW),
    "lm_head.weight": (VOCABULARY, NARROW),
}
LINEAR = 2 * WIDE * NARROW + 2 * 16 * NARROW
OTHERS = WIDE + 64 * NARROW + VOCABULARY * NARROW
HEAD = VOCABULARY * NARROW


def checkpoint(folder: Path, config: dict[str, object] = SMOLVLM, dtype: str = "BF16") -> Path:
    """Headers with zeros behind them."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for name, shape in TENSORS.items():
        size = (2 if dtype == "BF16" else 4) * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (end, end + size)}
        end += size
    head = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(end))
    return folder


@pytest.mark.parametrize(
    ("precision", "held"),
    [
        ("fp32", 4 * (LINEAR + OTHERS + HEAD)),
        ("fp16", 2 * (LINEAR + OTHERS + HEAD)),
        ("bf16", 2 * (LINEAR + OTHERS + HEAD)),
        ("int8", LINEAR + 4 * (2 * WIDE + 2 * 16) + 4 * (OTHERS + HEAD)),
        ("nf4", LINEAR // 2 + 4 * (LINEAR // 64) + 4 * (OTHERS + HEAD)),
        ("int8-dynamic", 2 * (LINEAR + HEAD) + 4 * OTHERS),
    ],
)
def test_bytes_held_follow_the_loader(tmp_path: Path, precision: str, held: int) -> None:
    weights = read_weights(checkpoint(tmp_path))
    assert weights.parameters == LINEAR + OTHERS + HEAD
    assert weights.resident_bytes(Precision(precision)) == held
    assert sum(weights.formats(Precision(precision)).values()) == weights.parameters


def test_a_shared_head_is_no_weight_but_becomes_one_when_rounded(tmp_path: Path) -> None:
    weights = read_weights(checkpoint(tmp_path, SMOLVLM | {"tie_word_embeddings": True}))
    assert weights.parameters == LINEAR + OTHERS
    assert weights.formats(Precision.INT8_DYNAMIC)["int8-dynamic"] == LINEAR + HEAD


def test_the_loader_holds_file_and_weights_only_where_it_converts(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    as_stored = torch_memory(folder, Precision.BF16, View(), libraries=1000)
    converted = torch_memory(folder, Precision.FP32, View(), libraries=1000)
    file = read_weights(folder).stored_bytes
    assert as_stored.mapped == 0
    assert as_stored.load_peak == 1000 + file
    assert converted.load_peak == 1000 + 2 * file + file
    assert converted.needed <= converted.peak
    dynamic = torch_memory(folder, Precision.INT8_DYNAMIC, View(), libraries=1000)
    assert dynamic.load_peak == converted.load_peak  # read in FP32, then rounded


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text_config": [1]}, r"text_config = \[1\]: expected `object"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings = 'no': expected `bool"),
        ({"model_type": ["idefics3"]}, r"model_type = \['idefics3'\]: expected `str`"),
        ({"vision_config": "x"}, "no sizes of the vision encoder"),
    ],
)
def test_a_wrong_configuration_is_a_problem(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(Problem, match=said):
        torch_memory(checkpoint(tmp_path, SMOLVLM | changed), Precision.FP32, View())


def test_a_weight_without_a_shape_is_no_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = torch_memory(checkpoint(tmp_path), Precision.FP32, View())
    monkeypatch.setitem(TENSORS, "model.text_model.layers.1.self_attn.k_proj.weight", (1,))
    found = torch_memory(checkpoint(tmp_path), Precision.FP32, View())
    assert found.cache == usual.cache


def test_q4_is_for_onnx_files(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="q4 needs the model's ONNX files"):
        torch_memory(checkpoint(tmp_path), Precision.Q4, View())


def test_an_onnx_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    assert engine_of(folder) == "torch"
    (folder / "onnx").mkdir()
    for part in ("vision_encoder", "embed_tokens", "decoder_model_merged"):
        (folder / "onnx" / f"{part}.onnx").write_bytes(bytes(1000))
    (folder / "onnx" / "decoder_model_merged.onnx_data").write_bytes(bytes(5000))
    assert engine_of(folder) == "onnx"
    assert onnx_memory(folder, Precision.FP32, View()).weights == 8000
    with pytest.raises(Problem, match="no q4 in it"):
        onnx_memory(folder, Precision.Q4, View())


def test_tiles_are_those_that_the_runner_cuts(tmp_path: Path) -> None:
    one = sight_of(checkpoint(tmp_path), View())
    assert (one.tiles, one.patches, one.tokens) == (1, 64, 16)
    tiled = sight_of(tmp_path, View(tiling=True))  # 4 x 3 and the whole
    assert (tiled.tiles, tiled.tokens) == (13, 13 * 16)
    assert sight_of(tmp_path, View(max_pixels=2 * 2 * 64 * 64, tiling=True)).tiles == 5


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(784, 10_000_000))
def test_qwen_sees_no_more_than_it_may(width: int, height: int, bound: int) -> None:
    path = Path(__file__).parent / "qwen"
    sight = sight_of(path, View(max_pixels=bound, image=(width, height)))
    assert 4 * 14 * 14 * sight.tokens <= max(bound, 784)
    assert sight.tokens >= 1


def test_a_family_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="model_type = 'gpt'"):
        sight_of(checkpoint(tmp_path, SMOLVLM | {"model_type": "gpt"}), View())
    with pytest.raises(Problem, match="no sizes of the vision encoder"):
        sight_of(checkpoint(tmp_path, {"model_type": "paligemma"}), View())
