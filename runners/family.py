"""The families of detectors: how each sees an image, and how its outputs are read.

Which family a file is of stands in its metadata, so that a copied or converted file keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from edgelab.catalogue import FamilyName
from runners.detections import Detections, HeadProblem, Selection
from runners.images import Pixels
from runners.letterbox import Fit
from runners.ssdlite import Ssdlite
from runners.yolo import Yolo

FAMILY_KEY = "family"
"""Of the metadata; ultralytics writes none, so a file without it is a YOLO."""


class Preprocessor(Protocol):
    """Turns an image into an input tensor, which is valid until the next call."""

    def __call__(self, image: Pixels) -> tuple[NDArray[Any], Fit]:
        """The tensor, (1, 3, height, width), and how the image lies in it."""
        ...


class Family(Protocol):
    """A family of detectors, at one input size."""

    name: ClassVar[FamilyName]
    default_iou: ClassVar[float]

    def preprocessor(self, dtype: Any) -> Preprocessor:
        """A preprocessor with buffers of its own, for one thread."""
        ...

    def classes(self, shapes: Sequence[tuple[int, ...]]) -> int | None:
        """How many classes outputs of these shapes tell apart; raises HeadProblem.

        None where suppression inside the model hides it.
        """
        ...

    def detect(self, outputs: Sequence[NDArray[Any]], selection: Selection) -> Detections:
        """The detections in the outputs for one image, in px of the input.

        Raises HeadProblem where the outputs are not this family's, NotFinite for this image only.
        """
        ...


def open_family(properties: Mapping[str, str], input_size: tuple[int, int]) -> Family:
    """The family of a model with these metadata; `input_size` is (height, width), px.

    Raises HeadProblem where the metadata name an unknown family, or lack what theirs needs.
    """
    name = properties.get(FAMILY_KEY, Yolo.name)
    if name == Yolo.name:
        return Yolo(input_size)
    if name == Ssdlite.name:
        return Ssdlite.of_metadata(properties, input_size)
    raise HeadProblem(
        f"metadata {FAMILY_KEY} = {name[:80]!r}: expected {Yolo.name!r} or {Ssdlite.name!r}"
    )
