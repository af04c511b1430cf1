"""Convert: export and quantise a model, and have the quantisation doctor look at the outcome."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from edgelab.settings.base import TaskSettings, must_differ, must_suit_detectors
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


FolderName = Annotated[str, Meta(pattern=r"^[^/\\.][^/\\]*$", max_length=100)]


class ConversionSettings(TaskSettings, frozen=True, kw_only=True):
    """A conversion to one or more precisions; `name`: what the outcome is called in the catalogue.

    A precision is made in a step of its own and may be refused alone.
    """

    name: FolderName
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)]

    @property
    def formats(self) -> tuple[Precision, ...]:
        """Those that are made."""
        return self.precisions


class ConvertSettings(ConversionSettings, frozen=True, kw_only=True, tag="convert"):
    """One detector or classifier in some precisions; images of `dataset` calibrate and judge it.

    `model` is a catalogue name or the path of a model file. `images`: the image folder of a COCO
    .json. `split`: None means the calibration split of the dataset's profile, of labelled images
    val.
    """

    images: Text | None = None
    split: Text | None = None
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)] = (
        Precision.FP16,
        Precision.INT8,
    )
    method: Calibration = Calibration.MINMAX
    activations: Activations = Activations.AUTO
    image_size: Annotated[int, Meta(ge=32, le=8192)] | None = None
    calibration_images: Positive = 100

    def __post_init__(self) -> None:
        must_differ("precisions", self.precisions)
        must_suit_detectors(self.precisions)

    @property
    def title(self) -> str:
        """What a run of these settings is called."""
        return f"convert {Path(self.model).stem}"
