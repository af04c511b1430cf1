"""Detect: find and count objects."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgelab.settings.base import MeasureSettings, must_differ, must_suit_detectors
from edgelab.settings.common import Positive, Share, Threshold


class DetectSettings(MeasureSettings, frozen=True, kw_only=True, tag="detect"):
    """One detector on one dataset, in one or more precisions.

    `model` is a catalogue name or the path of an .onnx file; `dataset` a catalogue name, a folder
    of images, a COCO .json (then `images` is its image folder) or an ultralytics dataset .yaml.
    """

    thresholds: Annotated[tuple[Threshold, ...], Meta(min_length=1, max_length=20)] = (
        0.3,
        0.5,
        0.7,
    )
    iou: Share | None = None
    keep_score: Threshold = 0.05
    max_detections: Positive = 300
    image_size: Annotated[int, Meta(ge=32, le=8192)] | None = None
    calibration_images: Positive = 100

    @property
    def cuts(self) -> tuple[float | None, ...]:
        """The thresholds."""
        return self.thresholds

    def __post_init__(self) -> None:
        super().__post_init__()
        must_differ("thresholds", self.thresholds)
        must_suit_detectors(self.precisions)
        if min(self.thresholds) < self.keep_score:
            raise ValueError(
                f"thresholds start at {min(self.thresholds):g}, below keep_score "
                f"{self.keep_score:g}: detections under keep_score are not kept"
            )
