"""FP16 and INT8 files made from an FP32 one, on the machine and without torch.

INT8 is static post-training quantisation in the QDQ form: per-channel signed weights, unsigned or
signed activations. The decoding of the head stays in float: it mixes box pixels (to 640 and more)
with scores (to 1) in one tensor, and one 8-bit scale for both rounds every score to zero. So do the
first and the last convolutions, as is common practice: they see the pixels and make the scores.
On val the shipped YOLO's counts at 0.5 are then off FP32's MAE by 0.001 instead of 0.007.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import version_converter
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from edgelab.problem import Problem
from edgelab.settings.convert import Activations, Calibration
from runners.classify_input import CLASSIFY, to_input
from runners.expectation import is_expectation, speed_up_expectations
from runners.family import open_family
from runners.images import ImageProblem, read_image
from runners.quantise_classifier import OPERATORS, classifier_float_nodes
from runners.scenarios import Preprocessor

METHOD_VERSION = 4
"""Part of the cache key: raise it whenever the conversion, or how it is judged, changes."""

OLDEST_OPSET = 13
"""The first with per-channel scales in QuantizeLinear."""

PERCENTILE = 99.999

_METHODS = {
    Calibration.MINMAX: CalibrationMethod.MinMax,
    Calibration.ENTROPY: CalibrationMethod.Entropy,
    Calibration.PERCENTILE: CalibrationMethod.Percentile,
}
_INTEGERS = {Activations.U8: QuantType.QUInt8, Activations.S8: QuantType.QInt8}

Done = Callable[[int], None]


@dataclass(frozen=True)
class Plan:
    """What is not the same for models of all tasks.

    `float_nodes`: of a graph whose node names are unique, the names of those that stay in float.
    `operators`: those that are quantised; None: all that can be.
    """

    preprocess: Preprocessor
    float_nodes: Callable[[Any], list[str]]
    operators: list[str] | None = None


def plan_of(properties: Mapping[str, str], input_size: tuple[int, int]) -> Plan:
    """The plan for a model with these metadata; raises HeadProblem for an unknown family."""
    if properties.get("task") == CLASSIFY:
        return Plan(partial(to_input, side=input_size[0]), classifier_float_nodes, [*OPERATORS])
    return Plan(open_family(properties, input_size).preprocessor(np.float32), float_nodes)


@dataclass(frozen=True)
class Integers:
    """An INT8 model, and how many nodes of it were left in float on purpose."""

    model: Any
    kept_float: int


def to_half(model: Any) -> Any:
    """Store weights and compute in float16; input and output stay float32."""
    return convert_float_to_float16(model, keep_io_types=True)


def to_integer(
    model: Any,
    input_size: tuple[int, int],
    images: Iterable[Path],
    on_image: Done,
    *,
    activations: Activations = Activations.U8,
    method: Calibration = Calibration.MINMAX,
) -> Integers:
    """Quantise to int8 with the value ranges that `images` give rise to.

    `on_image(done)` is told of each calibration image. Images that cannot be read are left out.
    Raises Problem where none is left, or where the model has nothing to quantise.
    """
    with tempfile.TemporaryDirectory(prefix="edgelab-quantise-") as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        _preprocess(model, source)
        graph = onnx.load(source).graph
        plan = plan_of({each.key: each.value for each in model.metadata_props}, input_size)
        kept = plan.float_nodes(graph)
        with _without_advice():
            quantize_static(
                str(source),
                str(target),
                CalibrationImages(graph.input[0].name, plan.preprocess, images, on_image),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=_INTEGERS[activations],
                weight_type=QuantType.QInt8,
                calibrate_method=_METHODS[method],
                op_types_to_quantize=plan.operators,
                nodes_to_exclude=kept,
                extra_options={
                    # An image at a time: histograms would else hold every tensor of all of them.
                    "CalibStridedMinMax": 1,
                    "CalibPercentile": PERCENTILE,
                    # A range around zero would waste half of it behind a SiLU.
                    "CalibTensorRangeSymmetric": False,
                },
            )
        made = onnx.load(target)
        speed_up_expectations(made)
        return Integers(made, len(kept))


class CalibrationImages(CalibrationDataReader):  # type: ignore[misc]
    """Hands the quantiser one input tensor after the other, made as in a measured run.

    Raises Problem where no image can be read.
    """

    def __init__(
        self, input_name: str, preprocess: Preprocessor, images: Iterable[Path], on_image: Done
    ) -> None:
        self.done = 0
        self._input_name = input_name
        self._preprocess = preprocess
        self._on_image = on_image
        self._images = [path for path in images if _is_readable(path)]
        self._end = len(self._images)
        if not self._images:
            raise Problem("int8 needs calibration images, and none of them could be read")

    def __len__(self) -> int:
        return len(self._images)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Hand out only these images until the next call."""
        self.done, self._end = start_index, end_index

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input of the model; None at the end of the range."""
        if self.done == self._end:
            return None
        tensor, _ = self._preprocess(read_image(self._images[self.done]))
        self.done += 1
        self._on_image(self.done)
        return {self._input_name: tensor}


def _is_readable(path: Path) -> bool:
    try:
        read_image(path)
    except ImageProblem:
        return False
    return True


def float_nodes(graph: Any) -> list[str]:
    """Names of a detector's nodes that stay in float: decoding, and the outermost convolutions."""
    decoding = set(decoding_nodes(graph))
    into_decoding = {name for node in graph.node if node.name in decoding for name in node.input}
    convolutions = [
        node for node in graph.node if node.op_type == "Conv" and node.name not in decoding
    ]
    last = [node for node in convolutions if into_decoding & set(node.output)]
    return [*decoding, *(node.name for node in [convolutions[0], *last])]


def decoding_nodes(graph: Any) -> list[str]:
    """Names of the nodes behind the last convolutions: what turns a raw head into boxes.

    Found by walking back from the output, whatever the exporter named them. The convolution of the
    distribution focal loss (weights 0, 1, 2, ...: an expected value) is part of the decoding.
    Node names must be unique. Raises Problem where no convolution is met.
    """
    maker = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, Any] = {}
    met_convolution = False
    waiting = [value.name for value in graph.output]
    while waiting:
        node = maker.get(waiting.pop())
        if node is None or node.name in found:
            continue
        if node.op_type == "Conv" and not is_expectation(node, constants):
            met_convolution = True
            continue
        found[node.name] = node
        if node.op_type != "Shape":  # a shape carries no values of the tensor behind it
            waiting.extend(node.input)
    if not met_convolution:
        raise Problem("int8: the model has no convolutions before its output: no detector")
    return list(found)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence the quantiser, which advises to run the preprocessing that has just been run."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _preprocess(model: Any, target: Path) -> None:
    """Fold and infer shapes, as the quantiser expects; and give each node a name of its own."""
    opset = max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    if opset < OLDEST_OPSET:
        model = version_converter.convert_version(model, OLDEST_OPSET)
    onnx.save(model, target)
    # Symbolic shape inference needs sympy, and detectors get by without.
    quant_pre_process(str(target), str(target), skip_symbolic_shape=True)
    prepared = onnx.load(target)
    for index, node in enumerate(prepared.graph.node):
        node.name = f"{index}_{node.op_type}"
    onnx.save(prepared, target)
