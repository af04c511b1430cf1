"""What a model file is: read from the file itself, whatever its name says."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
import onnx
from onnx import TensorProto

from edgelab.catalogue import Catalogue, ModelProfile
from edgelab.problem import Problem
from edgelab.schema import convert
from edgelab.settings.common import Precision
from runners.classes import can_be_written
from runners.detections import HeadProblem
from runners.family import Family, open_family
from runners.session import open_session, refusals_as_problems, session_options

QUANTISING = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"})

P = TypeVar("P", bound=ModelProfile)

_NAME_PARTS = re.compile(r"[^a-z0-9]+")
_NAMED = {
    Precision.FP32: {"fp32", "float32", "f32"},
    Precision.FP16: {"fp16", "float16", "f16", "half"},
    Precision.INT8: {"int8", "uint8", "i8", "u8", "quant", "quantized", "quantised", "qdq"},
}

_INPUT_TYPES = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}
_DEFAULT_STRIDE = 32
_SIDES = range(32, 8192 + 1)  # px, as a run's own setting
_LONGEST_METADATA = 1 << 20


class ExportMetadata(msgspec.Struct, frozen=True):
    """What ultralytics writes into an export; all of it may be missing."""

    names: dict[int, str] | tuple[str, ...] = ()
    imgsz: tuple[int, int] | None = None
    stride: Annotated[int, msgspec.Meta(ge=1)] = _DEFAULT_STRIDE
    task: str = "detect"
    args: dict[str, Any] = {}

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names in the order of their indices; None where the file has none."""
        names = self.names
        return (
            tuple(names[key] for key in sorted(names)) if isinstance(names, dict) else names
        ) or None


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """An ONNX file that takes images; `input_size` is (height, width), px."""

    path: Path
    name: str
    sha256: str
    size_bytes: int
    held: Precision
    input_size: tuple[int, int]
    metadata: ExportMetadata

    @property
    def contradiction(self) -> str | None:
        """What the file's name says of its precision, where that is not what it holds."""
        named = precision_named(self.path.stem)
        if named is None or named is self.held:
            return None
        return f"{self.path.name}: named {named}, but it holds {self.held} weights"


@dataclass(frozen=True, kw_only=True)
class ModelFile(OnnxFile):
    """A detector: `classes` are those of a raw head, None where suppression inside the model hides
    them."""

    family: Family
    classes: int | None

    @property
    def end_to_end(self) -> bool:
        """True where the file gives final detections."""
        return self.classes is None

    @property
    def suppresses(self) -> bool:
        """True where suppression, with the confidence and IoU of the export, is in the file."""
        return self.end_to_end and bool(self.metadata.args.get("nms"))


def find_model(model: str, catalogue: Catalogue, kind: type[P]) -> tuple[str, Path, P | None]:
    """The name, file and profile that `model`, a catalogue name or a path, stands for.

    Raises Problem where it is for another task than profiles of this `kind`.
    """
    entry = catalogue.model(model)
    if entry is not None:
        profile = entry.require()
        if not isinstance(profile, kind):
            wanted, found = kind.__struct_config__.tag, profile.__struct_config__.tag
            raise Problem(f"{model}: a model for the task {found!r}, expected one for {wanted!r}")
        if profile.file is None:
            raise Problem(f"{entry.path}: names no file")
        return entry.name, entry.path.parent / profile.file, profile
    path = Path(model).expanduser()
    if path.suffix.lower() != ".onnx":
        raise Problem(
            f"{model}: neither a model of the catalogue nor an .onnx file "
            "(`edgelab models` lists the catalogue)"
        )
    return path.stem, path, None


def read_model(path: Path, name: str, image_size: int | None) -> ModelFile:
    """Read and try out the detector at `path`; raises Problem where it is none that can be run.

    `image_size` chooses the input of a model that takes any; one of fixed size may only repeat it.
    """
    file, properties = read_onnx(path, name, "detect", image_size)
    try:
        family = open_family(properties, file.input_size)
        classes = family.classes(output_shapes(path, file.input_size))
    except HeadProblem as problem:
        raise Problem(f"{path}: {problem}") from None
    check_names(file.metadata, classes, path)
    return ModelFile(**vars(file), family=family, classes=classes)


def read_onnx(
    path: Path, name: str, task: str, image_size: int | None, smallest: int = _SIDES[0]
) -> tuple[OnnxFile, dict[str, str]]:
    """What is common to models of any task, and the raw metadata; raises Problem.

    `smallest`: px a side of the smallest input that makes sense.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path}: cannot be read ({error.strerror})") from None
    model = load_graph(data, path)
    properties = {each.key: each.value for each in model.metadata_props}
    metadata = read_metadata(properties, path)
    if metadata.task != task:
        raise Problem(f"{path}: a model for the task {metadata.task!r}, expected {task!r}")
    file = OnnxFile(
        path=path,
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        held=held_precision(model.graph),
        input_size=_input_size(model.graph, metadata, image_size, smallest, path),
        metadata=metadata,
    )
    return file, properties


def load_graph(data: bytes, path: Path) -> Any:
    """Decode an ONNX file; raises Problem."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # the protobuf library's own, which differs by version
        raise Problem(f"{path}: not an ONNX file ({type(error).__name__})") from None
    if not model.graph.node:
        raise Problem(f"{path}: not an ONNX file, or an empty one")
    if any(each.data_location == TensorProto.EXTERNAL for each in model.graph.initializer):
        raise Problem(f"{path}: keeps its weights in a second file: save it as one file")
    return model


def read_metadata(properties: Mapping[str, str], path: Path) -> ExportMetadata:
    """Read the metadata of an export: Python literals, of which only plain data is accepted."""
    fields = {}
    for key in ("names", "imgsz", "stride", "args"):
        text = properties.get(key, "")
        if text and len(text) <= _LONGEST_METADATA:
            try:
                fields[key] = ast.literal_eval(text)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                raise Problem(f"{path}: metadata {key} = {text[:80]!r}: not plain data") from None
    fields["task"] = properties.get("task", "detect")
    metadata = convert(fields, ExportMetadata, f"{path}: metadata")
    if not can_be_written(metadata.class_names or ()):
        raise Problem(f"{path}: metadata names: not valid Unicode")
    return metadata


def held_precision(graph: Any) -> Precision:
    """The number format of the weights: what the file holds, whatever it is called."""
    if any(node.op_type in QUANTISING for node in graph.node):
        return Precision.INT8
    sizes: Counter[int] = Counter()
    for tensor in graph.initializer:
        sizes[tensor.data_type] += int(np.prod(tensor.dims))
    half, full = sizes[TensorProto.FLOAT16], sizes[TensorProto.FLOAT]
    return Precision.FP16 if half > full else Precision.FP32


def precision_named(stem: str) -> Precision | None:
    """The precision that a file's name speaks of; None where it speaks of none or of several."""
    found = {
        precision
        for precision, words in _NAMED.items()
        if words & set(_NAME_PARTS.split(stem.lower()))
    }
    return found.pop() if len(found) == 1 else None


def _input_size(
    graph: Any, metadata: ExportMetadata, image_size: int | None, smallest: int, path: Path
) -> tuple[int, int]:
    held = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in held]
    if len(inputs) != 1:
        raise Problem(f"{path}: takes {len(inputs)} inputs, expected one of 1x3xHxW")
    tensor = inputs[0].type.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if len(dims) != 4 or dims[0] not in (None, 1) or dims[1] not in (None, 3):
        raise Problem(f"{path}: takes an input of {dims}, expected one of 1x3xHxW")
    if tensor.elem_type not in _INPUT_TYPES:
        names = {number: name for name, number in TensorProto.DataType.items()}
        found = names.get(tensor.elem_type, f"type {tensor.elem_type}")
        raise Problem(f"{path}: takes {found} images, expected FLOAT or FLOAT16")
    if dims[2] and dims[3]:
        size = _fixed_size((dims[2], dims[3]), image_size, path)
    else:
        size = _chosen_size(metadata, image_size, path)
    if not all(smallest <= side <= _SIDES[-1] for side in size):
        raise Problem(
            f"{path}: image size {size[0]}x{size[1]}: expected {smallest} to {_SIDES[-1]} px a side"
        )
    return size


def _fixed_size(size: tuple[int, int], image_size: int | None, path: Path) -> tuple[int, int]:
    if image_size is not None and size != (image_size, image_size):
        raise Problem(
            f"{path}: takes {size[0]}x{size[1]} px only, not {image_size}: leave the image size out"
        )
    return size


def _chosen_size(metadata: ExportMetadata, image_size: int | None, path: Path) -> tuple[int, int]:
    size = (image_size, image_size) if image_size is not None else metadata.imgsz
    if size is None:
        raise Problem(f"{path}: takes images of any size and names none: choose an image size")
    if size[0] % metadata.stride or size[1] % metadata.stride:
        raise Problem(f"{path}: image size {size[0]}x{size[1]}: no multiple of {metadata.stride}")
    return size


def output_shapes(path: Path, input_size: tuple[int, int]) -> list[tuple[int, ...]]:
    """The shapes of what the model gives for one blank image."""
    session = open_session(path, session_options(threads=1))
    source = session.get_inputs()[0]
    dtype = np.float16 if "float16" in source.type else np.float32
    with refusals_as_problems(path):
        outputs = session.run(None, {source.name: np.zeros((1, 3, *input_size), dtype)})
    if not all(isinstance(output, np.ndarray) and output.dtype.kind in "fiu" for output in outputs):
        raise HeadProblem("gives outputs that are not tensors of numbers")
    return [tuple(output.shape) for output in outputs]


def check_names(metadata: ExportMetadata, classes: int | None, path: Path) -> None:
    """Raise Problem where the file names more or fewer classes than it tells apart."""
    names = metadata.class_names
    if names is not None and classes is not None and len(names) != classes:
        raise Problem(f"{path}: names {len(names)} classes, but its head has {classes}")
