"""FP16 and INT8 files made from an FP32 one, on the machine and without torch.

INT8 is static post-training quantisation in the QDQ form: per-channel signed weights, unsigned or
signed activations. The decoding of the head stays in float: it mixes box pixels (to 640 and more)
with scores (to 1) in one tensor, and one 8-bit scale for both rounds every score to zero. So do the
first and the last convolutions, as is common practice: they see the pixels and make the scores.
On val the shipped YOLO's counts at 0.5 are then off FP32's MAE by 0.001 instead of 0.007.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, version_converter
from onnxruntime import GraphOptimizationLevel
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorsData,
    create_calibrator,
)
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
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
from runners.session import open_session, session_options

METHOD_VERSION = 5
"""Part of the cache key: raise it whenever the conversion, or how it is judged, changes."""

OLDEST_OPSET = 13
"""The first with per-channel scales in QuantizeLinear."""

PERCENTILE = 99.999

_METHODS = {
    Calibration.MINMAX: CalibrationMethod.MinMax,
    Calibration.ENTROPY: CalibrationMethod.Entropy,
    Calibration.PERCENTILE: CalibrationMethod.Percentile,
}
_PORTIONS = {Calibration.MINMAX: 16, Calibration.ENTROPY: 1, Calibration.PERCENTILE: 1}
"""Images whose values are in memory at a time: for MinMax a model's outputs at most (before ONNX
Runtime 1.22 not even these were dropped), for histograms every tensor of the model. The ranges are
the same whatever the portion."""


Done = Callable[[int], None]
Begun = Callable[[], None]


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
    on_quantise: Begun = lambda: None,
) -> Integers:
    """Quantise to int8 with the value ranges that `images` give rise to.

    `on_image(done)` is told of each calibration image, `on_quantise()` when all were seen.
    Images that cannot be read are left out.
    Raises Problem where none is left, or where the model has nothing to quantise.
    """
    plan = plan_of({each.key: each.value for each in model.metadata_props}, input_size)
    operators = [*(plan.operators or {*QLinearOpsRegistry, *QDQRegistry})]
    with tempfile.TemporaryDirectory(prefix="edgelab-quantise-") as folder:
        source = Path(folder) / "source.onnx"
        fold(model, source)
        folded = onnx.load(source)
        kept = plan.float_nodes(folded.graph)
        data = CalibrationImages(folded.graph.input[0].name, plan.preprocess, images, on_image)
        quantiser = QDQQuantizer(
            folded,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=_ranges(source, operators, data, method, on_quantise),
            nodes_to_quantize=[],
            nodes_to_exclude=kept,
            op_types_to_quantize=operators,
            extra_options={},
        )
        quantiser.quantize_model()
    quantiser.model.topological_sort()
    made = quantiser.model.model
    speed_up_expectations(made)
    return Integers(made if activations is Activations.U8 else signed(made), len(kept))


def _ranges(
    source: Path,
    operators: list[str],
    data: CalibrationImages,
    method: Calibration,
    on_collected: Begun,
) -> TensorsData:
    """The range of each tensor of a model over the images.

    As `quantize_static` finds it, which adds up the results anew for each portion of images, and
    for MinMax is several times as fast with larger ones.
    """
    augmented = source.with_name("augmented.onnx")
    calibrator = create_calibrator(
        source,
        operators,
        augmented_model_path=str(augmented),
        calibrate_method=_METHODS[method],
        # A range around zero would waste half of it behind a SiLU.
        extra_options={"percentile": PERCENTILE, "symmetric": False},
    )
    calibrator.infer_session = _calibrating_session(augmented)
    portion = _PORTIONS[method]
    for start in range(0, len(data), portion):
        data.set_range(start, min(start + portion, len(data)))
        calibrator.collect_data(data)
    on_collected()
    return calibrator.compute_data()


def _calibrating_session(augmented: Path) -> Any:
    """As the calibrator opens it, on all cores, but with threads that sleep while they wait.

    Between its many small nodes others would spin: where the machine has other work, too, that
    takes twice the time.
    """
    options = session_options(threads=0)
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return open_session(augmented, options)


def signed(model: Any) -> Any:
    """A model with unsigned activations as one with signed: the same numbers, each 128 lower.

    Only what stands for a value and its zero point changes, not the value: (q - zero) * scale.
    """
    made = copy.deepcopy(model)
    codes = {
        name
        for node in made.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in (node.input[0], node.input[2])
    }
    for tensor in made.graph.initializer:
        if tensor.name in codes and tensor.data_type == onnx.TensorProto.UINT8:
            lower = numpy_helper.to_array(tensor).astype(np.int16) - 128
            tensor.CopyFrom(numpy_helper.from_array(lower.astype(np.int8), tensor.name))
    return made


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


def fold(model: Any, target: Path) -> None:
    """Write the model to `target`, constants folded and shapes inferred, as the quantiser expects.

    Each node gets a name of its own.
    """
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
