"""What a run is asked to do: the RunSpec, written once before anything starts."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SPEC_VERSION = 1

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Threshold = Annotated[float, Meta(gt=0.0, lt=1.0)]


class Precision(StrEnum):
    """The number format a model is asked to run in."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Scenario(StrEnum):
    """How queries are issued, in the sense of MLPerf Inference."""

    SINGLE_STREAM = "single-stream"
    OFFLINE = "offline"


class Order(StrEnum):
    """In which order the precisions are measured: a board that warms up favours the first."""

    GIVEN = "given"
    RANDOM = "random"  # by the run's id, so that it can be repeated
    ABBA = "abba"  # there and back again: a drift in time falls on all alike


class DetectSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="task", tag="detect"
):
    """One detector on one dataset, in one or more precisions.

    `model` is a catalogue name or the path of an .onnx file; `dataset` a catalogue name, a folder
    of images, a COCO .json (then `images` is its image folder) or an ultralytics dataset .yaml.
    None means: as the model's or the dataset's profile says.
    """

    model: Text
    dataset: Text
    images: Text | None = None
    split: Text | None = None
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)] = (Precision.FP32,)
    thresholds: Annotated[tuple[Threshold, ...], Meta(min_length=1, max_length=20)] = (
        0.3,
        0.5,
        0.7,
    )
    threads: Positive = 2
    scenario: Scenario = Scenario.SINGLE_STREAM
    warmup: NotNegative = 5
    repetitions: Positive = 1
    order: Order = Order.GIVEN
    limit: Positive | None = None
    iou: Share | None = None
    keep_score: Threshold = 0.05
    max_detections: Positive = 300
    image_size: Annotated[int, Meta(ge=32, le=8192)] | None = None
    calibration_images: Positive = 100

    @property
    def rounds(self) -> int:
        """How many times each precision has its turn."""
        return 2 if self.order is Order.ABBA else 1

    def __post_init__(self) -> None:
        if len(set(self.precisions)) != len(self.precisions):
            raise ValueError("precisions must differ from each other")
        if len(set(self.thresholds)) != len(self.thresholds):
            raise ValueError("thresholds must differ from each other")
        if min(self.thresholds) < self.keep_score:
            raise ValueError(
                f"thresholds start at {min(self.thresholds):g}, below keep_score "
                f"{self.keep_score:g}: detections under keep_score are not kept"
            )


Settings = DetectSettings


class CoolDown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Before each measuring step, wait until the hottest zone is back at `celsius`.

    None: at what it was when the run began. After `limit_s` the run goes on all the same.
    """

    limit_s: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    celsius: Annotated[float, Meta(ge=0, le=150)] | None = None


class RunSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run before it starts. `number` counts the runs of this lab; `created` is Unix time, s."""

    version: Annotated[int, Meta(ge=SPEC_VERSION, le=SPEC_VERSION)]
    id: Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
    number: Positive
    title: Text
    created: float
    settings: Settings
    time_limit_s: Annotated[float, Meta(gt=0)] | None = None
    cool_down: CoolDown | None = None
    governor: Literal["performance"] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.created):
            raise ValueError("created must be a finite number")
