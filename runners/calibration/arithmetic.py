"""Attained arithmetic: ONNX Runtime on a matrix product and on convolutions, in each format.

The graphs are what detectors are made of, run as every model of this lab is run; so the rates are
what a perfect model could attain here with this runtime, not what the silicon could.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgelab.calibration import Rate, Resource
from edgelab.executed import ExecutedPrecision
from runners.calibration.repeats import Budget, repeat
from runners.precision import prove_executed
from runners.session import open_session, session_options

OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Sizes:
    """How much one repeat computes.

    A product of two `matrix` x `matrix` matrices; `layers` convolutions, 3 x 3, of `channels` to
    as many channels on `side` x `side` px: those of YOLOv8n's middle at 640 px.
    """

    matrix: int = 1024
    channels: int = 64
    side: int = 80
    layers: int = 4

    @property
    def product_operations(self) -> int:
        """Of the matrix product; a multiply-accumulate is two."""
        return 2 * self.matrix**3

    @property
    def convolution_operations(self) -> int:
        """Of all layers, the borders counted in full."""
        return 2 * self.layers * (3 * self.channels * self.side) ** 2


@dataclass(frozen=True)
class Kernel:
    """A test: a graph of one input, and how many operations a run of it takes."""

    name: str
    resource: Resource
    operations: int
    build: Callable[[], Any]


def kernels(sizes: Sizes) -> tuple[Kernel, ...]:
    """All tests of arithmetic."""
    fp32, fp16, int8 = Resource.FP32, Resource.FP16, Resource.INT8
    product, convolution = sizes.product_operations, sizes.convolution_operations
    return (
        Kernel("fp32 matrix product", fp32, product, partial(_product, sizes, np.float32)),
        Kernel("fp32 convolution", fp32, convolution, partial(_convolution, sizes, np.float32)),
        Kernel("fp16 matrix product", fp16, product, partial(_product, sizes, np.float16)),
        Kernel("fp16 convolution", fp16, convolution, partial(_convolution, sizes, np.float16)),
        Kernel("int8 matrix product", int8, product, partial(_integer_product, sizes)),
        Kernel("int8 convolution u8s8", int8, convolution, partial(_quantised, sizes, np.uint8)),
        Kernel("int8 convolution s8s8", int8, convolution, partial(_quantised, sizes, np.int8)),
    )


class PreparedKernel:
    """A kernel's graph on disk, with the proof of what the runtime computes it in."""

    def __init__(self, kernel: Kernel, folder: Path) -> None:
        self.kernel = kernel
        self.path = folder / f"{kernel.name.replace(' ', '-')}.onnx"
        model = kernel.build()
        onnx.checker.check_model(model)
        onnx.save(model, self.path)
        self.executed = prove_executed(self.path)

    @property
    def problem(self) -> str | None:
        """Why this kernel says nothing about its format; None where it does."""
        if _only(self.kernel.resource, self.executed):
            return None
        return f"the runtime computes it as {self.executed.words}"

    def measure(self, threads: int, budget: Budget) -> Rate:
        """Run it with that many threads until it is settled."""
        session = open_session(self.path, session_options(threads))
        source = session.get_inputs()[0]
        feeds = {source.name: _input(source.type, source.shape)}
        times = repeat(lambda: session.run(None, feeds), budget)
        kernel = self.kernel
        return times.rate(kernel.name, kernel.resource, threads, kernel.operations, self.executed)


def _only(resource: Resource, executed: ExecutedPrecision) -> bool:
    """True where every computing node computes in that format."""
    counts = {
        Resource.FP32: executed.full,
        Resource.FP16: executed.half,
        Resource.INT8: executed.integer,
    }
    return 0 < counts[resource] == sum(counts.values())


def _product(sizes: Sizes, dtype: Any) -> Any:
    n = sizes.matrix
    weights = (_random().standard_normal((n, n)) / n**0.5).astype(dtype)
    node = helper.make_node("MatMul", ["x0", "w"], ["x1"])
    return _model([node], {"w": weights}, (n, n), dtype, dtype)


def _integer_product(sizes: Sizes) -> Any:
    n = sizes.matrix
    weights = _random().integers(-127, 128, (n, n)).astype(np.int8)
    node = helper.make_node("MatMulInteger", ["x0", "w"], ["x1"])
    return _model([node], {"w": weights}, (n, n), np.uint8, np.int32)


def _convolution(sizes: Sizes, dtype: Any) -> Any:
    random, weights, nodes = _random(), {}, []
    for layer in range(sizes.layers):
        # Scaled so that values keep their size from layer to layer, which float16 needs.
        values = random.standard_normal(_filters(sizes)) / (3 * sizes.channels**0.5)
        weights[f"w{layer}"] = values.astype(dtype)
        nodes.append(_conv(f"x{layer}", f"w{layer}", f"x{layer + 1}"))
    return _model(nodes, weights, _image(sizes), dtype, dtype)


def _quantised(sizes: Sizes, activation: Any) -> Any:
    """Convolutions in the QDQ form that the lab's own int8 models have, with int8 weights.

    Which pairing with the activations is quick depends on the processor: u8s8 on x86, both on ARM.
    """
    random, nodes = _random(), []
    weights: dict[str, NDArray[Any]] = {
        "scale": np.array(0.05, np.float32),
        "zero": np.array(128 if activation is np.uint8 else 0, activation),
        "scales": np.full(sizes.channels, 1e-3, np.float32),
        "zeros": np.zeros(sizes.channels, np.int8),
    }
    for layer in range(sizes.layers):
        weights[f"w{layer}"] = random.integers(-127, 128, _filters(sizes)).astype(np.int8)
        nodes += [
            helper.make_node("DequantizeLinear", [f"x{layer}", "scale", "zero"], [f"a{layer}"]),
            helper.make_node(
                "DequantizeLinear", [f"w{layer}", "scales", "zeros"], [f"b{layer}"], axis=0
            ),
            _conv(f"a{layer}", f"b{layer}", f"c{layer}"),
            helper.make_node("QuantizeLinear", [f"c{layer}", "scale", "zero"], [f"x{layer + 1}"]),
        ]
    return _model(nodes, weights, _image(sizes), activation, activation)


def _conv(source: str, weights: str, target: str) -> Any:
    return helper.make_node("Conv", [source, weights], [target], pads=[1, 1, 1, 1])


def _filters(sizes: Sizes) -> tuple[int, int, int, int]:
    return (sizes.channels, sizes.channels, 3, 3)


def _image(sizes: Sizes) -> tuple[int, int, int, int]:
    return (1, sizes.channels, sizes.side, sizes.side)


def _model(
    nodes: list[Any], weights: dict[str, NDArray[Any]], shape: tuple[int, ...], source: Any, to: Any
) -> Any:
    """A model from `x0` to the output of the last node, both of that shape."""
    types = [helper.np_dtype_to_tensor_dtype(np.dtype(each)) for each in (source, to)]
    graph = helper.make_graph(
        nodes,
        "calibration",
        [helper.make_tensor_value_info("x0", types[0], shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], types[1], shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def _input(kind: str, shape: list[int]) -> NDArray[Any]:
    """Random numbers of a runtime's type name: no zeros or denormals that would be quicker."""
    random = _random()
    if kind == "tensor(uint8)":
        return random.integers(0, 256, shape).astype(np.uint8)
    if kind == "tensor(int8)":
        return random.integers(-128, 128, shape).astype(np.int8)
    dtype = np.float16 if kind == "tensor(float16)" else np.float32
    return random.standard_normal(shape).astype(dtype)


def _random() -> np.random.Generator:
    return np.random.default_rng(0)
