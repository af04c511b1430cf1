"""Counting what one inference of an ONNX graph takes: operations and bytes, from its shapes.

A multiply-accumulate is two operations. Elementwise operators count one operation an element
whatever the function, pooling one an element of its window, normalisations a few: roughly, because
convolutions and matrix products are nearly everything. What only moves numbers, and arithmetic on
indices, counts nothing. What cannot be counted (sub-graphs, operators not known here, shapes that
stay unknown) is named.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import onnx
import onnxruntime
from onnx import TensorProto, helper, shape_inference

from edgelab.graph_cost import GraphCost
from edgelab.problem import Problem
from edgelab.settings.common import Precision
from runners.precision import CONVERSIONS, MOVES
from runners.session import open_session, session_options

Shape = tuple[int, ...]

_PRODUCTS = frozenset({"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"})
_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "QLinearConv", "ConvTranspose"})
_POOLS = frozenset({"MaxPool", "AveragePool", "LpPool"})

# Operations an element of the output.
_OF_OUTPUT = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Sum", "Mean"), 1),
    **dict.fromkeys(("Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Celu", "Selu", "Softplus"), 1),
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Mish"), 1),
    **dict.fromkeys(("Sqrt", "Exp", "Log", "Pow", "Reciprocal", "Sin", "Cos", "Softsign"), 1),
    **dict.fromkeys(("Floor", "Ceil", "Round", "Sign", "Mod", "Where", "Swish", "Resize"), 1),
    **dict.fromkeys(("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"), 1),
    **dict.fromkeys(("Softmax", "LogSoftmax"), 3),  # exponential, sum, division
    "BatchNormalization": 2,  # scale, shift
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization"), 5),
    "RMSNormalization": 4,
}

# One operation an element of the first input.
_OF_INPUT = frozenset(
    {
        *("GlobalAveragePool", "GlobalMaxPool", "ReduceSum", "ReduceMean", "ReduceMax"),
        *("ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ArgMax", "ArgMin"),
        *("TopK", "CumSum"),
    }
)

_FREE = (
    MOVES
    | CONVERSIONS
    | {
        *("Cast", "CastLike", "ConstantOfShape", "Range", "Dropout", "DepthToSpace"),
        *("SpaceToDepth", "GatherElements", "ScatterND", "ScatterElements", "Trilu", "OneHot"),
        *("Not", "And", "Or", "Xor", "NonZero", "EyeLike"),
    }
)

_FORMATS = {
    TensorProto.FLOAT: Precision.FP32,
    TensorProto.DOUBLE: Precision.FP32,
    TensorProto.FLOAT16: Precision.FP16,
    TensorProto.BFLOAT16: Precision.FP16,
    TensorProto.INT8: Precision.INT8,
    TensorProto.UINT8: Precision.INT8,
}
_WIDTHS = {Precision.FP32: 4, Precision.FP16: 2, Precision.INT8: 1}
_FOUR_BITS = frozenset({TensorProto.INT4, TensorProto.UINT4})

# Shape inference reads the values of shapes and axes; larger tensors are only dead weight to it.
_LARGEST_SHAPE = 1024


# What a node with too few inputs, without its attributes or with a name in no encoding leads to.
_MALFORMED = (IndexError, StopIteration, TypeError)


class _Uncountable(Exception):  # noqa: N818 - not an error: the node is named as unknown
    """A node whose cost cannot be told."""


def graph_cost(path: Path, input_shape: Sequence[int] | None = None) -> GraphCost:
    """Count one inference of the model at `path`.

    `input_shape` settles dimensions of the first input that the file leaves open. Raises Problem
    where the file is no ONNX model; what cannot be counted in it is named in the result.
    """
    cost = _count(_load(path, input_shape))
    if cost.unknown and (folded := _folded(path, input_shape)) is not None:
        again = msgspec.structs.replace(_count(folded), weight_bytes=cost.weight_bytes)
        return min(cost, again, key=lambda each: sum(each.unknown.values()))
    return cost


def _count(model: Any) -> GraphCost:
    """Count a model, which loses its weights by that."""
    weight_bytes = sum(_bytes(each.data_type, tuple(each.dims)) for each in _constants(model.graph))
    held = _held(model.graph)
    _drop_weights(model.graph)
    return _Counter(_with_shapes(model).graph, held).cost(weight_bytes)


class _Counter:
    """One graph whose shapes are known as far as they can be; `held`: names of its constants."""

    def __init__(self, graph: Any, held: frozenset[str]) -> None:
        self._graph = graph
        self._held = held
        self._types: dict[str, int] = {}
        self._shapes: dict[str, Shape | None] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            self._types[value.name] = value.type.tensor_type.elem_type
            self._shapes[value.name] = _shape(value)
        for tensor in graph.initializer:
            self._types[tensor.name] = tensor.data_type
            self._shapes[tensor.name] = tuple(tensor.dims)
        self._dequantised = {
            node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"
        }

    def cost(self, weight_bytes: int) -> GraphCost:
        """All nodes together."""
        flops: Counter[Precision] = Counter()
        unknown: Counter[str] = Counter()
        macs = activations = 0
        for node in self._graph.node:
            try:
                accumulated, operations = self._operations(node)
                if not (accumulated or operations):
                    continue
                precision = self._precision(node)
            except (_Uncountable, *_MALFORMED):
                unknown[_name(node)] += 1
                continue
            if precision is not None:
                flops[precision] += 2 * accumulated + operations
                macs += accumulated
                activations += self._elements(node.output[0]) * _WIDTHS[precision]
        return GraphCost(
            flops=dict(flops),
            macs=macs,
            weight_bytes=weight_bytes,
            io_bytes=self._io_bytes(),
            activation_bytes=activations,
            unknown=dict(sorted(unknown.items())),
        )

    def _operations(self, node: Any) -> tuple[int, int]:
        """Multiply-accumulates, and other operations; raises _Uncountable."""
        kind = node.op_type
        if kind in _FREE:
            return 0, 0
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise _Uncountable
        if kind in _CONVOLUTIONS:
            return self._convolution(node), 0
        if kind in _PRODUCTS:
            return self._product(node), 0
        return 0, self._cheap(node, kind.removeprefix("QLinear"))

    def _convolution(self, node: Any) -> int:
        """Each output sums over a window of its group's channels; transposed: each input does."""
        weights = self._known(node.input[3 if node.op_type == "QLinearConv" else 1])
        reached = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
        return self._elements(reached) * prod(weights[1:])

    def _product(self, node: Any) -> int:
        """Each output element sums over the dimension that both factors share."""
        left = self._known(node.input[0])
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return self._elements(node.output[0]) * left[0 if transposed else -1]

    def _cheap(self, node: Any, kind: str) -> int:
        if kind in _OF_OUTPUT:
            return _OF_OUTPUT[kind] * self._elements(node.output[0])
        if kind in _OF_INPUT:
            return self._elements(node.input[0])
        if kind in _POOLS:
            window = next(each.ints for each in node.attribute if each.name == "kernel_shape")
            return self._elements(node.output[0]) * int(prod(window))
        raise _Uncountable

    def _precision(self, node: Any) -> Precision | None:
        """The format that the node is asked for in; None: it computes on indices or truth values.

        A node whose operands all were dequantised just before it is one on integers, written in the
        QDQ form.
        """
        if node.op_type.startswith("QLinear") or node.op_type in ("ConvInteger", "MatMulInteger"):
            return Precision.INT8
        if node.op_type in _CONVOLUTIONS | _PRODUCTS:
            operands = list(node.input[:2])
        else:
            operands = [each for each in node.input if each and each not in self._held]
        if operands and all(each in self._dequantised for each in operands):
            return Precision.INT8
        element = self._types.get(node.input[0], 0)
        if not element:
            raise _Uncountable
        return _FORMATS.get(element)

    def _io_bytes(self) -> int:
        """Bytes of the model's inputs and outputs, as far as their shapes are known."""
        values = [each for each in self._graph.input if each.name not in self._held]
        return sum(
            _bytes(self._types[value.name], self._shapes[value.name] or (0,))
            for value in (*values, *self._graph.output)
        )

    def _elements(self, name: str) -> int:
        return prod(self._known(name))

    def _known(self, name: str) -> Shape:
        shape = self._shapes.get(name)
        if shape is None:
            raise _Uncountable
        return shape


def _load(path: Path, input_shape: Sequence[int] | None) -> Any:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # the protobuf library's own, which differs by version
        raise Problem(f"{path}: not an ONNX file ({type(error).__name__})") from None
    if input_shape is not None:
        _settle_input(model.graph, input_shape)
    return model


def _settle_input(graph: Any, input_shape: Sequence[int]) -> None:
    held = _held(graph)
    value = next((each for each in graph.input if each.name not in held), None)
    dims = value.type.tensor_type.shape.dim if value is not None else ()
    if len(dims) == len(input_shape):
        for dim, size in zip(dims, input_shape, strict=True):
            if not dim.HasField("dim_value"):
                dim.dim_value = size


def _folded(path: Path, input_shape: Sequence[int] | None) -> Any | None:
    """The model with its constants folded; None where the runtime does not take it.

    Many exports compute shapes inside the graph, and inference cannot follow all of that. The
    runtime casts to fp32 what it has no half kernels for: the format counted is then fp32.
    """
    with tempfile.TemporaryDirectory(prefix="edgelab-cost-") as folder:
        settled, target = Path(folder) / "settled.onnx", Path(folder) / "folded.onnx"
        options = session_options(threads=1)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        try:
            onnx.save(_load(path, input_shape), settled)
            open_session(settled, options)
            return _load(target, None)
        except Exception:  # the runtime has a type for each reason, and none in common
            return None


def _with_shapes(model: Any) -> Any:
    """The model with the shapes that can be inferred; as it is where inference gives up."""
    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # an inconsistent file: its nodes will be named as unknown
        return model


def _held(graph: Any) -> frozenset[str]:
    """Names of the graph's constants, which may be listed among its inputs."""
    return frozenset(tensor.name for tensor in graph.initializer)


def _drop_weights(graph: Any) -> None:
    """Turn large constants into inputs: their type and shape is all that inference wants."""
    kept, listed = [], {value.name for value in graph.input}
    for tensor in graph.initializer:
        if prod(tensor.dims) <= _LARGEST_SHAPE:
            kept.append(tensor)
        elif tensor.name not in listed:
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            graph.input.append(value)
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _constants(graph: Any) -> list[Any]:
    """Initialisers and the tensors of Constant nodes, those of sub-graphs too."""
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                found.append(attribute.t)
            for graph_of in (attribute.g, *attribute.graphs):
                found += _constants(graph_of)
    return found


def _bytes(element: int, shape: Shape) -> int:
    if element in _FOUR_BITS:
        return (prod(shape) + 1) // 2
    try:
        return prod(shape) * int(helper.tensor_dtype_to_np_dtype(element).itemsize)
    except KeyError:  # no tensor, or a type newer than this library
        return 0


def _shape(value: Any) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return None if None in dims else tuple(dim for dim in dims if dim is not None)


def _name(node: Any) -> str:
    domain = node.domain if node.domain not in ("", "ai.onnx") else ""
    return f"{domain}.{node.op_type}" if domain else f"{node.op_type}"
