"""What a classifier is, beside its weights: classifier.json, checked when these are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.common import Positive, Text

CONFIG_VERSION = 1

Kind = Literal["efficientnetv2-s", "vit-tiny", "vit-tiny-3", "hybrid", "timm"]

HEADS: dict[str, tuple[int, ...]] = {"vit-tiny": (3,) * 12, "vit-tiny-3": (3, 6, 12)}
"""Attention heads of each block. A checkpoint's tensors do not tell them: 3 heads of 64 and 12 of
16 have the same shapes. So they are kept here, and compared when weights are loaded."""


class ClassifierConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`backbone`: the timm name where `kind` is "timm". `heads`: of each transformer block, empty
    without such blocks. `image_size`, `patch_size`: px a side; patches of transformers only."""

    version: Annotated[int, Meta(ge=CONFIG_VERSION, le=CONFIG_VERSION)] = CONFIG_VERSION
    kind: Kind
    classes: Annotated[tuple[Text, ...], Meta(min_length=2)]
    image_size: Positive
    patch_size: Positive = 16
    backbone: str = ""
    heads: tuple[Positive, ...] = ()

    def __post_init__(self) -> None:
        if self.kind in HEADS and self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is no multiple of patch_size {self.patch_size}"
            )
        if self.kind == "hybrid" and self.image_size % 16:
            raise ValueError(
                f"image_size {self.image_size} is no multiple of 16, its patches' size"
            )


def configure(
    model: str, classes: tuple[str, ...], image_size: int, patch: int
) -> ClassifierConfig:
    """The configuration of an architecture by its name, or of `timm:<name>`; raises Problem."""
    kind, _, backbone = model.partition(":")
    if kind != "timm" and backbone:
        raise Problem(f"--model {model}: expected an architecture or timm:<name>")
    raw = {
        "kind": kind,
        "classes": classes,
        "image_size": image_size,
        "patch_size": patch,
        "backbone": backbone,
        "heads": HEADS.get(kind, ()),
    }
    try:
        return msgspec.convert(raw, ClassifierConfig)
    except msgspec.ValidationError as error:
        raise Problem(f"--model {model}: {error}") from None


def write_config(path: Path, config: ClassifierConfig) -> None:
    """Write it durably; raises OSError."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(config)), shared=True)


def read_config(path: Path) -> ClassifierConfig:
    """Read and check it; raises SchemaProblem."""
    return read_json(path, ClassifierConfig)
