"""The shapes dataset: synthetic images of a few countable objects, drawn on the machine.

A run draws only the splits that it needs; `python -m runners.datasets.draw` draws them all.

Every image has its own random generator, seeded by (seed, split, index): the same profile gives
the same pixels whichever splits are drawn, and in whichever order, for the same numpy and OpenCV.

A split appears whole or not at all: it is drawn into a hidden folder, synced to the disk, and
renamed. A lock keeps two processes from drawing the same split twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

import cv2
import msgspec
import numpy as np
from msgspec import Meta

from edgelab.catalogue import GeneratedDataset
from edgelab.schema import read_toml
from runners.datasets.scene import DrawnObject, Image, Scene, draw
from runners.datasets.whole_split import ensure_whole
from runners.images import write_png

GENERATOR_VERSION = 1
"""Part of the cache key: raise it whenever the same parameters give other images."""

Split = Literal["train", "calibration", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Progress = Callable[[int, int], None]
"""Is told (images done, images in all)."""

Count = Annotated[int, Meta(ge=1)]


class ImageCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many images each split holds."""

    train: Count
    calibration: Count
    val: Count
    test: Count

    def of(self, split: Split) -> int:
        """The number of images of a split."""
        return int(getattr(self, split))


class ShapesProfile(GeneratedDataset, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The catalogue's profile of this dataset, with what the generator needs to know."""

    default_split: Split = "test"
    calibration_split: Split | None = "calibration"
    scene: Scene
    images: ImageCounts


class CocoImage(msgspec.Struct, frozen=True):
    """An image of a COCO file; sizes in px."""

    id: int
    file_name: str
    width: int
    height: int


class CocoAnnotation(msgspec.Struct, frozen=True):
    """An object of a COCO file: `bbox` is left, top, width, height, `area` the shape's, in px."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int


class CocoCategory(msgspec.Struct, frozen=True):
    """A class of a COCO file."""

    id: int
    name: str


class CocoFile(msgspec.Struct, frozen=True):
    """Annotations in COCO's object detection format (https://cocodataset.org/#format-data)."""

    info: dict[str, str | int]
    licenses: list[dict[str, str | int]]
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


def read_profile(path: Path) -> ShapesProfile:
    """Read a profile; raises `edgelab.schema.SchemaProblem` naming file, key and remedy."""
    return read_toml(path, ShapesProfile)


def ensure_split(
    profile: ShapesProfile, split: Split, folder: Path, on_image: Progress | None = None
) -> Path:
    """The folder of a split, `folder/shapes-<cache key>/<split>`, drawn first if it is not there.

    Raises as `generate` does.
    """
    dataset = folder / f"{profile.generator}-{cache_key(profile)}"
    return generate(profile, split, dataset, on_image)


def cache_key(profile: ShapesProfile) -> str:
    """Twelve hexadecimal digits that differ wherever the images may."""
    content = msgspec.json.encode((GENERATOR_VERSION, profile.scene, profile.images))
    return hashlib.sha256(content).hexdigest()[:12]


def generate(
    profile: ShapesProfile, split: Split, folder: Path, on_image: Progress | None = None
) -> Path:
    """Draw a split into `folder/<split>`, `images/*.png` and `annotations.json`, and return that.

    Does nothing if the split is there; waits if another process is drawing it. Raises OSError
    (for example when the disk is full) and then leaves nothing behind.
    """
    return ensure_whole(folder / split, lambda part: _write_split(profile, split, part, on_image))


def draw_image(profile: ShapesProfile, split: Split, index: int) -> tuple[Image, list[DrawnObject]]:
    """Draw the image of that index of a split, and tell what is on it, from back to front."""
    return draw(profile.scene, SPLITS.index(split), index)


def _write_split(
    profile: ShapesProfile, split: Split, folder: Path, on_image: Progress | None
) -> None:
    size = profile.scene.image_size
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    total = profile.images.of(split)
    (folder / "images").mkdir(parents=True)
    for index in range(total):
        image, objects = draw_image(profile, split, index)
        name = f"{index:06d}.png"
        write_png(folder / "images" / name, image)
        images.append(CocoImage(index, name, size, size))
        annotations.extend(
            _annotation(drawn, number, image_id=index)
            for number, drawn in enumerate(objects, start=len(annotations) + 1)
        )
        if on_image is not None:
            on_image(index + 1, total)
    coco = CocoFile(
        info={
            "description": f"{profile.title}, {split} split",
            "version": f"{profile.generator} {GENERATOR_VERSION}",
            "seed": profile.scene.seed,
        },
        licenses=[{"id": 1, "name": "CC0-1.0"}],
        images=images,
        annotations=annotations,
        categories=[CocoCategory(i, name) for i, name in enumerate(profile.scene.classes, start=1)],
    )
    (folder / "annotations.json").write_bytes(msgspec.json.encode(coco))


def _annotation(drawn: DrawnObject, number: int, image_id: int) -> CocoAnnotation:
    left, top, right, bottom = drawn.box
    return CocoAnnotation(
        id=number,
        image_id=image_id,
        category_id=drawn.label + 1,
        bbox=(round(left, 2), round(top, 2), round(right - left, 2), round(bottom - top, 2)),
        area=round(cv2.contourArea(drawn.outline.astype(np.float32)), 2),
        iscrowd=0,
    )
