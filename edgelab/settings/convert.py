"""Convert: export and quantise a model, and have the quantisation doctor look at the outcome."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from edgelab.settings.base import TaskSettings, must_differ
from edgelab.settings.common import Positive, Precision, Text


class Calibration(StrEnum):
    """How the range of an activation is chosen from what calibration images give rise to."""

    MINMAX = "minmax"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"


class Activations(StrEnum):
    """The integers that activations become: unsigned, signed, or the faster of both here."""

    AUTO = "auto"
    U8 = "u8"
    S8 = "s8"


class ConvertSettings(TaskSettings, frozen=True, kw_only=True, tag="convert"):
    """One detector in one or more precisions; images of `dataset` calibrate and judge it.

    `model` is a catalogue name or the path of an .onnx, .pt, .pth or .safetensors file. `split`:
    None means the calibration split of the dataset's profile.
    """

    images: Text | None = None
    split: Text | None = None
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)] = tuple(Precision)
    method: Calibration = Calibration.MINMAX
    activations: Activations = Activations.AUTO
    image_size: Annotated[int, Meta(ge=32, le=8192)] | None = None
    calibration_images: Positive = 100

    def __post_init__(self) -> None:
        must_differ("precisions", self.precisions)
