"""Costs against graphs counted by hand, and against a detector whose cost is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgelab.problem import Problem
from edgelab.settings.common import Precision
from runners.graph_cost import graph_cost
from runners.quantise import to_half, to_integer
from tests.runners.colour_detector import BINS, CELL, build_detector, some_cells, write_cells

FP32, FP16, INT8 = Precision.FP32, Precision.FP16, Precision.INT8


def save(
    path: Path,
    nodes: list[Any],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any] | None],
    weights: dict[str, np.ndarray[Any, Any]] | None = None,
    kind: int = TensorProto.FLOAT,
    out_kind: int | None = None,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [
            helper.make_tensor_value_info(name, out_kind or kind, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own.domain", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    onnx.save(model, path)
    return path


def floats(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def test_convolution(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1] * 4, strides=[2, 2])
    path = save(
        tmp_path / "m.onnx",
        [node],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 5, 4, 4]},
        {"w": floats(5, 3, 3, 3), "b": floats(5)},
    )

    cost = graph_cost(path)

    assert cost.macs == 5 * 4 * 4 * 3 * 3 * 3
    assert cost.flops == {FP32: 2 * cost.macs}
    assert cost.weight_bytes == 4 * (5 * 27 + 5)
    assert cost.io_bytes == 4 * (3 * 64 + 5 * 16)
    assert cost.activation_bytes == 4 * 5 * 16
    assert cost.compulsory_bytes == cost.weight_bytes + cost.io_bytes
    assert cost.unknown == {}


def test_depthwise_convolution(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=6)
    path = save(
        tmp_path / "m.onnx",
        [node],
        {"x": [1, 6, 5, 5]},
        {"y": [1, 6, 3, 3]},
        {"w": floats(6, 1, 3, 3)},
    )

    assert graph_cost(path).macs == 6 * 3 * 3 * 9


def test_transposed_convolution_counts_its_inputs(tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    path = save(
        tmp_path / "m.onnx",
        [node],
        {"x": [1, 4, 5, 5]},
        {"y": [1, 2, 10, 10]},
        {"w": floats(4, 2, 2, 2)},
    )

    assert graph_cost(path).macs == (4 * 5 * 5) * (2 * 2 * 2)


@pytest.mark.parametrize(("transposed", "shape"), [(0, [7, 11]), (1, [11, 7])])
def test_gemm(transposed: int, shape: list[int], tmp_path: Path) -> None:
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transA=transposed)
    path = save(
        tmp_path / "m.onnx",
        [node],
        {"x": shape},
        {"y": [7, 13]},
        {"w": floats(11, 13), "b": floats(13)},
    )

    assert graph_cost(path).macs == 7 * 11 * 13


def test_batched_product_of_activations(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    path = save(
        tmp_path / "m.onnx", [node], {"a": [2, 3, 5, 7], "b": [2, 3, 7, 4]}, {"y": [2, 3, 5, 4]}
    )

    assert graph_cost(path).macs == 2 * 3 * 5 * 7 * 4


def test_cheap_operators_count_roughly_and_moves_not_at_all(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["x", "s"], ["m"]),
        helper.make_node("MaxPool", ["m"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Softmax", ["p"], ["q"], axis=1),
        helper.make_node("Transpose", ["q"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["y"]),
    ]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        {"x": [1, 2, 4, 4]},
        {"y": [1, 8]},
        {"shape": np.array([1, 8], np.int64)},
    )

    cost = graph_cost(path)

    assert cost.flops == {FP32: 32 + 32 + 8 * 4 + 3 * 8}
    assert cost.macs == 0
    assert cost.activation_bytes == 4 * (32 + 32 + 8 + 8)


def test_arithmetic_on_shapes_counts_nothing(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Add", ["s", "one"], ["bigger"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    path = save(
        tmp_path / "m.onnx", nodes, {"x": [1, 4]}, {"y": [1, 4]}, {"one": np.array([1], np.int64)}
    )

    assert graph_cost(path).flops == {FP32: 4}


def test_dequantised_operands_make_an_integer_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "s", "z"], ["cd"]),
        helper.make_node("Conv", ["cd", "v"], ["y"]),  # float weights: a float node
    ]
    weights = {
        "s": np.array(0.1, np.float32),
        "z": np.array(128, np.uint8),
        "zw": np.array(0, np.int8),
        "w": np.ones((2, 3, 1, 1), np.int8),
        "v": floats(4, 2, 1, 1),
    }
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 3, 2, 2]}, {"y": [1, 4, 2, 2]}, weights)

    cost = graph_cost(path)

    assert cost.flops == {INT8: 2 * 8 * 3, FP32: 2 * 16 * 2}
    assert cost.weight_bytes == 6 + 32 + 4 + 1 + 1
    assert cost.activation_bytes == 8 + 4 * 16


def test_integer_operators(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": [3, 5]},
        {"y": [3, 4]},
        {"w": np.ones((5, 4), np.int8)},
        TensorProto.UINT8,
        TensorProto.INT32,
    )

    assert graph_cost(path).flops == {INT8: 2 * 60}


def test_an_open_input_is_settled_by_the_given_shape(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    path = save(
        tmp_path / "m.onnx",
        [node],
        {"x": ["batch", 3, "height", "width"]},
        {"y": None},
        {"w": floats(5, 3, 1, 1)},
    )

    assert graph_cost(path).unknown == {"Conv": 1}
    assert graph_cost(path).macs == 0
    assert graph_cost(path, (1, 3, 8, 6)).macs == 5 * 3 * 8 * 6
    assert graph_cost(path, (1, 3)).unknown == {"Conv": 1}


def test_what_cannot_be_counted_is_named(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4])],
    )
    nodes = [
        helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("Shuffle", ["x"], ["s"], domain="own.domain"),
        helper.make_node("Relu", ["s"], ["r"]),  # of a shape that nobody knows
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        {"x": [1, 4]},
        {"y": [1, 4]},
        {"c": np.array(True)},
    )

    cost = graph_cost(path)

    assert cost.unknown == {"If": 1, "Relu": 1, "own.domain.Shuffle": 1}
    assert cost.flops == {FP32: 4}


def test_malformed_nodes_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x"], ["c"]),  # no weights
        helper.make_node("MaxPool", ["x"], ["p"]),  # no window
        helper.make_node("MatMul", ["scalar", "x"], ["m"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        {"x": [1, 4, 2, 2], "scalar": []},
        {"y": [1, 4, 2, 2], "c": [1], "p": [1], "m": [1]},
    )

    cost = graph_cost(path)

    assert cost.unknown == {"Conv": 1, "MatMul": 1, "MaxPool": 1}
    assert cost.flops == {FP32: 16}


def test_shapes_that_are_computed_in_the_graph_are_followed(tmp_path: Path) -> None:
    """Half of the channels, as tracing writes `chunk`: Shape, Gather, Div, Mul, Slice."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["channels"]),
        helper.make_node("Div", ["channels", "two"], ["half"]),
        helper.make_node("Slice", ["x", "zero", "half", "one"], ["part"]),
        helper.make_node("Conv", ["part", "w"], ["y"]),
    ]
    weights = {
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "w": floats(5, 4, 1, 1),
    }
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 8, 2, 2]}, {"y": [1, 5, 2, 2]}, weights)

    cost = graph_cost(path)

    assert cost.unknown == {}
    assert cost.macs == 5 * 4 * 2 * 2


def test_precisions_of_the_same_detector(tmp_path: Path) -> None:
    full = build_detector(tmp_path / "full.onnx")
    half, integer = tmp_path / "half.onnx", tmp_path / "integer.onnx"
    images = [write_cells(tmp_path / f"{n}.png", some_cells(n, 8)) for n in range(3)]
    onnx.save(to_half(onnx.load(full)), half)
    onnx.save(to_integer(onnx.load(full), (64, 64), images, lambda _: None).model, integer)

    costs = [graph_cost(path) for path in (full, half, integer)]

    # The expected distances' denominators are a product of their own in INT8.
    denominators = 4 * BINS * (64 // CELL) ** 2
    assert [cost.macs - costs[0].macs for cost in costs] == [0, 0, denominators]
    assert [cost.unknown for cost in costs] == [{}, {}, {}]
    assert set(costs[0].flops) == {FP32}
    assert set(costs[1].flops) == {FP16}
    # Only the middle convolution of this small model is made of integers.
    assert costs[2].flops[INT8] > 0
    assert costs[2].flops[FP32] >= costs[0].flops[FP32] - costs[2].flops[INT8]
    assert costs[0].weight_bytes > costs[1].weight_bytes


def test_no_model_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")

    with pytest.raises(Problem, match=r"m\.onnx: not an ONNX file"):
        graph_cost(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's older exporter
def test_yolov8n_costs_what_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8.7 GFLOPs at 640 px, by its authors. The weights do not matter."""
    torch = pytest.importorskip("torch")
    for key in ("YOLO_OFFLINE", "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS"):
        monkeypatch.setenv(key, "1")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    network = tasks.DetectionModel("yolov8n.yaml", verbose=False).fuse(verbose=False).eval()
    network.model[-1].export, network.model[-1].format = True, "onnx"
    path = tmp_path / "yolov8n.onnx"
    with torch.no_grad():
        torch.onnx.export(
            network, torch.zeros(1, 3, 640, 640), path, opset_version=17, dynamo=False
        )

    cost = graph_cost(path)

    assert cost.unknown == {}
    assert 2 * cost.macs / 1e9 == pytest.approx(8.7, abs=0.05)
    assert cost.weight_bytes / 4 == pytest.approx(3.15e6, rel=0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mobilenet_costs_what_is_published(tmp_path: Path) -> None:
    """0.217 billion multiply-accumulates at 224 px, by torchvision: depthwise for the most part."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    network = models.mobilenet_v3_large(weights=None).eval()
    path = tmp_path / "mobilenet.onnx"
    torch.onnx.export(network, torch.zeros(1, 3, 224, 224), path, opset_version=17, dynamo=False)

    cost = graph_cost(path)

    assert cost.unknown == {}
    assert cost.macs / 1e9 == pytest.approx(0.217, abs=0.0005)
