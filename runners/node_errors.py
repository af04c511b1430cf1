"""Which nodes of a converted model hurt: what each computes beside what the source's computes.

Tensors keep their names in a conversion, so that the same ones can be read out of both models. One
of 8 bits is read behind them, where the runtime fuses as in a measured run: what instructions of
this processor add (saturation, without 8-bit dot products) is in the figures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgelab.conversion import NodeError
from runners.precision import CONVERSIONS, MOVES
from runners.session import open_session, session_options

Tensor = NDArray[Any]


def node_errors(source: Path, outcome: Path, images: Iterable[Tensor]) -> list[NodeError]:
    """The nodes that both models have, those first that add most error to that of their inputs.

    `images`: input tensors of the source. Errors are norms of differences over norms of the
    source's values, all images together.
    """
    before, after = onnx.load(source), onnx.load(outcome)
    names = sorted(_computed(before.graph) & _computed(after.graph))
    if not names:
        return []
    differences = dict.fromkeys(names, 0.0)
    norms = dict.fromkeys(names, 0.0)
    read = _read_as(after.graph)
    wanted = (names, [read.get(name, name) for name in names])
    with tempfile.TemporaryDirectory(prefix="edgelab-nodes-") as folder:
        sessions = [
            _opened(model, each, Path(folder) / f"{number}.onnx")
            for number, (model, each) in enumerate(zip((before, after), wanted, strict=True))
        ]
        for image in images:
            expected, found = (
                _run(session, each, image) for session, each in zip(sessions, wanted, strict=True)
            )
            for name, ours, theirs in zip(names, expected, found, strict=True):
                differences[name] += _energy(theirs - ours)
                norms[name] += _energy(ours)
    errors = {name: _ratio(differences[name], norms[name]) for name in names}
    return sorted(_added(before.graph, errors), key=lambda each: -each.added)


def _computed(graph: Any) -> set[str]:
    """Names of what nodes compute; what only moves numbers or converts them adds no error."""
    skipped = MOVES | CONVERSIONS | {"Cast"}
    return {name for node in graph.node if node.op_type not in skipped for name in node.output[:1]}


def _read_as(graph: Any) -> dict[str, str]:
    """What the nodes behind a tensor read in its place: the numbers that its 8 bits stand for.

    A quantiser leaves out a Relu whose cut is that of the 8 bits, and gives its name to what comes
    into it: before these bits, that tensor is another one.
    """
    stands_for = {
        node.input[0]: node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"
    }
    return {
        node.input[0]: stands_for[node.output[0]]
        for node in graph.node
        if node.op_type == "QuantizeLinear" and node.output[0] in stands_for
    }


def _opened(model: Any, names: list[str], path: Path) -> Any:
    """A session that gives these tensors beside the model's own outputs."""
    own = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in own)
    onnx.save(model, path)
    return open_session(path, session_options(threads=1))


def _run(session: Any, names: list[str], image: Tensor) -> list[NDArray[np.float32]]:
    source = session.get_inputs()[0]
    tensor = image.astype(np.float16) if "float16" in source.type else image
    outputs = session.run(names, {source.name: tensor})
    return [each.astype(np.float32, copy=False) for each in outputs]


def _energy(values: NDArray[np.float32]) -> float:
    return float(np.square(values).sum(dtype=np.float64))


def _ratio(difference: float, norm: float) -> float:
    """The relative error; 1 where it is no number (half precision overflows)."""
    error = np.sqrt(difference / norm) if norm else float(difference > 0)
    return float(error) if np.isfinite(error) else 1.0


def _added(graph: Any, errors: dict[str, float]) -> Iterator[NodeError]:
    reached: dict[str, float] = {}  # the error of every tensor, through nodes that only move it
    for node in graph.node:
        inherited = max((reached.get(name, 0.0) for name in node.input), default=0.0)
        own = errors.get(node.output[0])
        for name in node.output:
            reached[name] = inherited if own is None else own
        if own is not None:
            name = node.name or node.output[0]
            yield NodeError(name, node.op_type, round(own, 6), round(own - inherited, 6))
