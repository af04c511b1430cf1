"""Writing an ONNX graph node by node, its weights beside it.

Weights lie in a file of their own (`NAME.onnx_data`, as in the large exports on the hub): ONNX
Runtime maps that into memory, where a weight inside the .onnx file is parsed and copied first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import TensorProto, helper, numpy_helper

from runners.smolvlm.weights import Array

MICROSOFT = "com.microsoft"
OPSET, MICROSOFT_OPSET, IR_VERSION = 21, 1, 10

SMALL = 1024
"""Tensors below this many bytes stay in the .onnx file."""

_PAGE = 4096  # a weight that begins on a page can be mapped where it lies

Shape = Sequence[int | str]


class Graph:
    """A graph that grows from its inputs to its outputs; values are known by name."""

    def __init__(self, name: str, path: Path, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._name = name
        self._path = path
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._tensors: dict[str, Any] = {}
        self._data = open(data_file(path), "wb")  # noqa: SIM115 - closed with the graph

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    def input(self, name: str, shape: Shape, dtype: DTypeLike | None = None) -> str:
        """A value that the caller gives; `shape` names the axes that vary."""
        self._inputs.append(_info(name, shape, self.dtype if dtype is None else dtype))
        return name

    def output(self, value: str, name: str, shape: Shape, dtype: DTypeLike | None = None) -> None:
        """Hand out `value`, from now on called `name`."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if each == value else each for each in names]
        self._outputs.append(_info(name, shape, self.dtype if dtype is None else dtype))

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The one output of a new node; an empty name leaves out an optional input."""
        return self.add_many(kind, inputs, 1, domain, **attributes)[0]

    def add_many(
        self, kind: str, inputs: Sequence[str], outputs: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """All outputs of a new node."""
        name = f"{kind}_{len(self._nodes)}"
        made = [name if index == 0 else f"{name}_{index}" for index in range(outputs)]
        self._nodes.append(
            helper.make_node(kind, list(inputs), made, name, domain=domain, **attributes)
        )
        return made

    def constant(self, name: str, array: Array) -> str:
        """A tensor of the graph, by name; large ones go to the data file."""
        if name not in self._tensors:
            inside = array.nbytes < SMALL
            self._tensors[name] = (
                numpy_helper.from_array(array, name) if inside else self._outside(name, array)
            )
        return name

    def shape(self, *lengths: int) -> str:
        """A constant for Reshape and the like; -1: what is left, 0: as in the input."""
        name = "shape_" + "_".join(str(each).replace("-", "m") for each in lengths)
        return self.constant(name, np.array(lengths, np.int64))

    def save(self) -> None:
        """Write the .onnx file; raises onnx's own error where the graph is not valid."""
        self._data.close()
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._tensors.values())
        )
        opsets = [
            helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, MICROSOFT_OPSET),
        ]  # fmt: skip
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgelab"
        )
        onnx.save(model, self._path)

    def _outside(self, name: str, array: Array) -> Any:
        self._data.write(b"\0" * (-self._data.tell() % _PAGE))
        tensor = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        place = {
            "location": data_file(self._path).name,
            "offset": self._data.tell(),
            "length": array.nbytes,
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(np.ascontiguousarray(array).data)
        return tensor


def data_file(model: Path) -> Path:
    """Where the weights of a model file lie."""
    return model.with_name(f"{model.name}_data")


def _info(name: str, shape: Shape, dtype: DTypeLike) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, list(shape))
