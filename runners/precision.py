"""Proof of what is really executed: the graph as ONNX Runtime runs it, counted by number format.

The precision of a file says what its weights are stored in. Which arithmetic runs is decided by the
runtime's own graph optimisation on this very machine; so the optimised graph is saved and read.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgelab.executed import ExecutedPrecision
from runners.session import open_session, session_options

INTEGERS = frozenset(
    {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4, TensorProto.INT16}
)
CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})

# Nodes that only move numbers: they tell nothing about arithmetic.
MOVES = frozenset(
    {
        *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Expand", "Tile"),
        *("Concat", "QLinearConcat", "Split", "Slice", "Gather", "GatherND", "Pad", "Constant"),
        *("Shape", "Size", "ReorderInput", "ReorderOutput"),
    }
)

_WEIGHTS_FILE = "session.optimized_model_external_initializers_file_name"
_WEIGHTS_FROM = "session.optimized_model_external_initializers_min_size_in_bytes"

_TO_INT64 = frozenset({"Shape", "Size", "NonZero", "ArgMax", "ArgMin", "NonMaxSuppression"})
_TO_BOOL = frozenset(
    {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or"}
)


def prove_executed(model: Path, scratch: Path | None = None) -> ExecutedPrecision:
    """Optimise `model` as a measuring session would, and count the nodes of the outcome.

    The optimised model is written to `scratch` meanwhile; None: where temporary files go.
    """
    with tempfile.TemporaryDirectory(prefix="edgelab-proof-", dir=scratch) as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = session_options(threads=1)
        options.optimized_model_filepath = str(optimised)
        # Weights go beside it: in one file, no more than 2 GB would fit, and nobody reads them.
        options.add_session_config_entry(_WEIGHTS_FILE, "weights.bin")
        options.add_session_config_entry(_WEIGHTS_FROM, "1024")
        open_session(model, options)
        return count_formats(onnx.load(optimised, load_external_data=False).graph)


def count_formats(graph: Any) -> ExecutedPrecision:
    """Count the nodes of an optimised graph by the format they compute in.

    A node computes in the lowest of the formats of its inputs and outputs: int8 before fp16 before
    fp32. Nodes that only move numbers, and those on indices and truth values, are not counted.
    """
    counts: Counter[str] = Counter()
    for node, types in _typed_nodes(graph, {}):
        if node.op_type == "Cast":
            counts["casts"] += 1
        elif node.op_type in CONVERSIONS:
            counts["quantize"] += 1
        elif node.op_type not in MOVES:
            counts[_format_of(types)] += 1
    return ExecutedPrecision(
        integer=counts["integer"],
        half=counts["half"],
        full=counts["full"],
        casts=counts["casts"],
        quantize=counts["quantize"],
        weights=weight_bytes(graph),
    )


def weight_bytes(graph: Any) -> dict[str, int]:
    """Bytes of the graph's constants by element type."""
    sizes: Counter[str] = Counter()
    for tensor in graph.initializer:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        sizes[dtype.name] += int(np.prod(tensor.dims)) * dtype.itemsize
    return dict(sorted(sizes.items()))


def _format_of(types: set[int]) -> str:
    if types & INTEGERS:
        return "integer"
    if TensorProto.FLOAT16 in types:
        return "half"
    return "full" if TensorProto.FLOAT in types else "other"


def _typed_nodes(graph: Any, outer: dict[str, int]) -> Iterator[tuple[Any, set[int]]]:
    """Every node, those of subgraphs too, with the element types of its inputs and outputs.

    Types are followed through the graph, because the checker of ONNX does not know the runtime's
    own operators: an output is of the type of the first input, unless the operator says otherwise.
    """
    types = outer | {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        sources = [types[name] for name in node.input if name in types]
        out = _output_type(node, [types.get(name, 0) for name in node.input])
        for name in node.output:
            types.setdefault(name, out)
        yield node, {*sources, *(types[name] for name in node.output)}
        for subgraph in _subgraphs(node.attribute):
            yield from _typed_nodes(subgraph, types)


def _output_type(node: Any, sources: list[int]) -> int:
    kind = node.op_type
    if kind in _TO_INT64:
        return int(TensorProto.INT64)
    if kind in _TO_BOOL:
        return int(TensorProto.BOOL)
    if kind == "Cast":
        return int(next(each.i for each in node.attribute if each.name == "to"))
    if kind == "QuantizeLinear":
        return sources[2] if len(sources) > 2 else int(TensorProto.UINT8)
    if kind in ("DequantizeLinear", "Where"):
        return sources[1]
    if kind in ("Constant", "ConstantOfShape"):
        value = next((each.t.data_type for each in node.attribute if each.name == "value"), None)
        return int(value if value is not None else TensorProto.FLOAT)
    return sources[0] if sources else 0


def _subgraphs(attributes: Iterable[Any]) -> Iterator[Any]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
