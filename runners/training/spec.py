"""From what a detector can be made again: the training.toml kept beside a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgelab.schema import read_toml

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every training says.

    `lrf` is the last learning rate as a share of `lr0`; `threads` are those of one operator.
    """

    schema_version: Literal[1]
    dataset: str
    epochs: Count
    batch: Count
    lr0: Positive
    lrf: Share
    weight_decay: NotNegative
    warmup_epochs: NotNegative
    seed: Annotated[int, Meta(ge=0)]
    threads: Count


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Random changes of the training images, as ultralytics names and scales them."""

    mosaic: Share
    hsv_h: Share
    hsv_s: Share
    hsv_v: Share
    translate: Share
    scale: Share
    flipud: Share
    fliplr: Share


class YoloTraining(Schedule, frozen=True, kw_only=True, tag_field="architecture", tag="yolov8"):
    """`imgsz` is a side of the square input in px, `close_mosaic` the number of epochs without
    mosaic at the end."""

    name: Annotated[str, Meta(pattern=r"^yolov8n-[a-z0-9-]+$")]
    depth_multiple: Positive
    width_multiple: Positive
    imgsz: Annotated[int, Meta(ge=32, multiple_of=32)]
    optimizer: Literal["SGD", "AdamW"]
    schedule: Literal["linear", "cosine"]
    close_mosaic: Annotated[int, Meta(ge=0)]
    augmentation: Augmentation


class Flips(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How probable it is that a training image is turned upside down or left to right."""

    flipud: Share
    fliplr: Share


class SsdliteTraining(
    Schedule,
    frozen=True,
    kw_only=True,
    tag_field="architecture",
    tag="ssdlite320_mobilenet_v3_large",
):
    """`anchor_scales` are the sides of the square anchors of the six feature maps, as shares of the
    input's; the seventh bounds the last map's larger square."""

    name: Annotated[str, Meta(pattern=r"^ssdlite320-[a-z0-9-]+$")]
    anchor_scales: Annotated[tuple[Positive, ...], Meta(min_length=7, max_length=7)]
    optimizer: Literal["AdamW"]
    schedule: Literal["cosine"]
    augmentation: Flips


TrainingSpec = YoloTraining | SsdliteTraining


def read_spec(path: Path) -> TrainingSpec:
    """Read a training.toml; raises `edgelab.schema.SchemaProblem` naming file, key and remedy."""
    either: Any = TrainingSpec  # a union is no type to mypy, but one to msgspec
    spec: TrainingSpec = read_toml(path, either)
    return spec
