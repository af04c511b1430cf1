"""What a model file says of itself, and what it really is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgelab.catalogue import Catalogue, DetectorProfile
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.common import Precision
from runners.model_file import find_model, held_precision, read_metadata, read_model
from tests.runners.colour_detector import CLASSES, build_detector


def passing_through(path: Path, shape: list[Any], kind: int = TensorProto.FLOAT) -> Path:
    """A model that gives back what it takes."""
    values = [helper.make_tensor_value_info(name, kind, shape) for name in ("in", "out")]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["in"], ["out"])], "g", values[:1], values[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def test_facts_of_a_detector(colour_model: Path) -> None:
    file = read_model(colour_model, "colours", None)
    assert file.metadata.class_names == CLASSES
    assert file.classes == 3
    assert file.input_size == (64, 64)
    assert file.held is Precision.FP32
    assert not file.end_to_end
    assert file.size_bytes == colour_model.stat().st_size


def test_the_weights_tell_the_precision_not_the_name(tmp_path: Path) -> None:
    lying = build_detector(tmp_path / "model_fp32.onnx", dtype=np.float16)
    assert read_model(lying, "m", None).held is Precision.FP16
    graph = onnx.load(build_detector(tmp_path / "model_int8.onnx")).graph
    assert held_precision(graph) is Precision.FP32


@pytest.mark.parametrize(
    ("metadata", "asked", "expected"),
    [
        ({"imgsz": "[64, 64]"}, None, (64, 64)),
        ({}, 64, (64, 64)),
        ({"imgsz": "[32, 32]"}, 64, (64, 64)),
    ],
)
def test_a_free_input_size_is_chosen(
    tmp_path: Path, metadata: dict[str, str], asked: int | None, expected: tuple[int, int]
) -> None:
    model = build_detector(tmp_path / "m.onnx", dynamic=True, metadata=metadata)
    assert read_model(model, "m", asked).input_size == expected


def test_a_free_input_size_must_come_from_somewhere(tmp_path: Path) -> None:
    model = build_detector(tmp_path / "m.onnx", dynamic=True)
    with pytest.raises(Problem, match="choose an image size"):
        read_model(model, "m", None)


def test_a_free_input_size_must_suit_the_stride(tmp_path: Path) -> None:
    model = build_detector(tmp_path / "m.onnx", dynamic=True)
    with pytest.raises(Problem, match="image size 60x60: no multiple of 8"):
        read_model(model, "m", 60)


def test_a_fixed_input_size_is_fixed(colour_model: Path) -> None:
    assert read_model(colour_model, "m", 64).input_size == (64, 64)
    with pytest.raises(Problem, match="takes 64x64 px only, not 320"):
        read_model(colour_model, "m", 320)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ("a", "b")}, "names 2 classes, but its head has 3"),
        ({"metadata": {"task": "segment"}}, "a model for the task 'segment'"),
        ({"metadata": {"names": "__import__('os')"}}, "metadata names = .*: not plain data"),
        ({"metadata": {"names": "{'a': 1}"}}, "metadata: "),
        ({"metadata": {"names": "(" * 10_000}}, "metadata names"),
        ({"metadata": {"names": "{[]: 1}"}}, "metadata names = .*: not plain data"),
        ({"metadata": {"names": "{[]}"}}, "metadata names = .*: not plain data"),
        ({"metadata": {"names": r"['\ud800', 'b', 'c']"}}, "metadata names: not valid Unicode"),
        ({"metadata": {"stride": "0"}}, "metadata: stride = 0: expected `int` >= 1"),
        ({"metadata": {"imgsz": "[-64, -64]"}, "dynamic": True}, "image size -64x-64: expected 32"),
        ({"metadata": {"imgsz": "[64, 8200]"}, "dynamic": True}, "64x8200: .* 32 to 8192 px"),
    ],
)
def test_metadata_that_cannot_be_right(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    model = build_detector(tmp_path / "m.onnx", **options)
    with pytest.raises(Problem, match=message):
        read_model(model, "m", None)


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ([1, 3, 32, 32], TensorProto.FLOAT, r"gives \(1, 3, 32, 32\), expected a raw head"),
        ([8, 3, 32, 32], TensorProto.FLOAT, r"expected one of 1x3xHxW"),
        ([1, 1, 32, 32], TensorProto.FLOAT, r"expected one of 1x3xHxW"),
        ([1, 300], TensorProto.FLOAT, r"expected one of 1x3xHxW"),
        ([1, 3, 32, 32], TensorProto.UINT8, "takes UINT8 images, expected FLOAT or FLOAT16"),
        ([1, 3, 32, 32], 99, "takes type 99 images, expected FLOAT or FLOAT16"),
        ([1, 3, -32, 32], TensorProto.FLOAT, "image size -32x32: expected 32 to 8192"),
        ([1, 3, 1 << 40, 1 << 40], TensorProto.FLOAT, "expected 32 to 8192"),
    ],
)
def test_what_is_no_detector(tmp_path: Path, shape: list[int], kind: int, message: str) -> None:
    model = passing_through(tmp_path / "m.onnx", shape, kind)
    with pytest.raises(Problem, match=message):
        read_model(model, "m", None)


def test_a_model_without_inputs(tmp_path: Path) -> None:
    model = onnx.load(build_detector(tmp_path / "m.onnx"))
    del model.graph.input[:]
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(Problem, match="takes 0 inputs, expected one of 1x3xHxW"):
        read_model(tmp_path / "m.onnx", "m", None)


def test_an_output_that_is_no_tensor(tmp_path: Path) -> None:
    model = onnx.load(build_detector(tmp_path / "m.onnx"))
    model.graph.node.append(helper.make_node("SequenceConstruct", ["output0"], ["list"]))
    output = helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, None)
    model.graph.output[0].CopyFrom(output)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(Problem, match="gives outputs that are not tensors of numbers"):
        read_model(tmp_path / "m.onnx", "m", None)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08"])
def test_what_is_no_onnx_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(Problem, match=f"{path}: not an ONNX file"):
        read_model(path, "m", None)


def test_weights_in_a_second_file_are_refused(tmp_path: Path) -> None:
    model = onnx.load(build_detector(tmp_path / "whole.onnx"))
    path = tmp_path / "split.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(Problem, match="second file"):
        read_model(path, "m", None)


def test_what_the_runtime_refuses_is_told(tmp_path: Path) -> None:
    model = onnx.load(build_detector(tmp_path / "m.onnx"))
    model.graph.node[0].op_type = "Konv"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(Problem, match=r"m.onnx: ONNX Runtime cannot run it \(.*Konv"):
        read_model(tmp_path / "m.onnx", "m", None)


def test_a_size_that_the_graph_cannot_take(tmp_path: Path) -> None:
    model = build_detector(tmp_path / "m.onnx", dynamic=True)
    with pytest.raises(Problem, match="ONNX Runtime cannot run it"):
        read_model(model, "m", 128)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"m.onnx: cannot be read \(No such file"):
        read_model(tmp_path / "m.onnx", "m", None)


def test_names_as_a_list_are_read_too() -> None:
    assert read_metadata({"names": "['a', 'b']"}, Path("m")).class_names == ("a", "b")
    assert read_metadata({}, Path("m")).class_names is None


def test_models_by_name_or_path(home: Home) -> None:
    folder = home.profiles / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(
        'schema_version = 1\ntitle = "Mine"\ntask = "detect"\nfamily = "yolo"\nfile = "m.onnx"\n'
        "iou = 0.4\n"
    )
    name, path, profile = find_model("mine", Catalogue(home), DetectorProfile)
    assert (name, path) == ("mine", folder / "m.onnx")
    assert profile is not None
    assert profile.iou == 0.4
    assert find_model("/some/net.onnx", Catalogue(home), DetectorProfile) == (
        "net",
        Path("/some/net.onnx"),
        None,
    )
    with pytest.raises(Problem, match=r"net.pt: neither a model of the catalogue nor an .onnx"):
        find_model("/some/net.pt", Catalogue(home), DetectorProfile)
