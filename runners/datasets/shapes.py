"""The shapes dataset: synthetic images of a few countable objects, drawn on the machine.

    python -m runners.datasets.shapes PROFILE_TOML FOLDER

draws all splits and prints where they lie; a run draws only the splits that it needs.

Every image has its own random generator, seeded by (seed, split, index): the same profile gives
the same pixels whichever splits are drawn, and in whichever order, for the same numpy and OpenCV.

A split appears whole or not at all: it is drawn into a hidden folder, synced to the disk, and
renamed. A lock keeps two processes from drawing the same split twice.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgelab.catalogue import GeneratedDataset
from edgelab.durable import locked, sync_folder
from edgelab.problem import Problem
from edgelab.schema import read_toml

GENERATOR_VERSION = 1
"""Part of the cache key: raise it whenever the same parameters give other images."""

PLACEMENT_TRIES = 40

PIXEL_CENTRE = 0.5
"""OpenCV draws with a pixel's centre at whole numbers; boxes have its corners there."""

SUBPIXEL_BITS = 4

Split = Literal["train", "calibration", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Shape = Literal["circle", "triangle", "square", "pentagon", "star"]

Image = NDArray[np.uint8]
"""(height, width, 3), BGR."""

Canvas = NDArray[np.float32]
"""An image in the making: (height, width, 3), BGR, 0 to 255."""

Outline = NDArray[np.float64]
"""The corners of a polygon: (n, 2), x and y."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in px."""

Progress = Callable[[int, int], None]
"""Is told (images done, images in all)."""

Count = Annotated[int, Meta(ge=1)]
Pixels = Annotated[int, Meta(ge=8, le=4096)]
Deviation = Annotated[float, Meta(ge=0, le=255)]


class ImageCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many images each split holds."""

    train: Count
    calibration: Count
    val: Count
    test: Count

    def of(self, split: Split) -> int:
        """The number of images of a split."""
        return int(getattr(self, split))


class Drawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the images depend on.

    `image_size` is a side of the square image and `object_size` the smallest and the largest
    diameter of the circle around an object, in px. `max_overlap` is the largest share of the
    smaller of two boxes that the other may cover, `min_contrast` the least Euclidean distance in
    BGR (0 to 255) between an object's colour and the mean of what it lies on, and `noise` the
    smallest and the largest standard deviation of an image's Gaussian noise.
    """

    seed: Annotated[int, Meta(ge=0)]
    image_size: Pixels
    classes: Annotated[tuple[Shape, ...], Meta(min_length=1)]
    max_objects: Annotated[int, Meta(ge=0)]
    object_size: tuple[Pixels, Pixels]
    max_overlap: Annotated[float, Meta(ge=0, lt=1)]
    min_contrast: Annotated[float, Meta(ge=0, le=200)]
    noise: tuple[Deviation, Deviation]
    images: ImageCounts

    def __post_init__(self) -> None:
        smallest, largest = self.object_size
        if not smallest <= largest <= self.image_size // 2:
            raise ValueError(
                f"expected `object_size` to rise to at most half of `image_size`, "
                f"{self.image_size // 2}, got {[smallest, largest]}"
            )
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"expected `classes` to name each shape once, got {self.classes}")


class ShapesProfile(GeneratedDataset, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The catalogue's profile of this dataset, with the generator's own parameters."""

    drawing: Drawing


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


class DrawnObject(NamedTuple):
    """An object of an image: the index of its class, and its outline in px."""

    label: int
    outline: Outline

    @property
    def box(self) -> Box:
        """The smallest box around the outline."""
        left, top = self.outline.min(axis=0).tolist()
        right, bottom = self.outline.max(axis=0).tolist()
        return left, top, right, bottom


def read_profile(path: Path) -> ShapesProfile:
    """Read a profile; raises `edgelab.schema.SchemaProblem` naming file, key and remedy."""
    return read_toml(path, ShapesProfile)


def ensure_split(
    profile: ShapesProfile, split: Split, folder: Path, on_image: Progress | None = None
) -> Path:
    """The folder of a split, `folder/shapes-<cache key>/<split>`, drawn first if it is not there.

    Raises as `generate` does.
    """
    dataset = folder / f"{profile.generator}-{cache_key(profile.drawing)}"
    return generate(profile, split, dataset, on_image)


def cache_key(drawing: Drawing) -> str:
    """Twelve hexadecimal digits that differ wherever the images may."""
    content = msgspec.json.encode((GENERATOR_VERSION, drawing))
    return hashlib.sha256(content).hexdigest()[:12]


def generate(
    profile: ShapesProfile, split: Split, folder: Path, on_image: Progress | None = None
) -> Path:
    """Draw a split into `folder/<split>`, `images/*.png` and `annotations.json`, and return that.

    Does nothing if the split is there; waits if another process is drawing it. Raises OSError
    (for example when the disk is full) and then leaves nothing behind.
    """
    target = folder / split
    if target.is_dir():
        return target
    with locked(folder / f".{split}.lock"):
        if not target.is_dir():  # else another process drew it while this one waited
            _draw_split(profile, split, target, on_image)
    return target


def draw_image(drawing: Drawing, split: Split, index: int) -> tuple[Image, list[DrawnObject]]:
    """Draw the image of that index of a split, and tell what is on it, from back to front."""
    rng = np.random.default_rng([drawing.seed, SPLITS.index(split), index])
    canvas = _background(rng, drawing.image_size)
    objects = _place_objects(rng, drawing)
    for drawn in objects:
        _paint(rng, canvas, drawn.outline, drawing.min_contrast)
    noise = rng.normal(0.0, rng.uniform(*drawing.noise), canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8), objects


def _draw_split(
    profile: ShapesProfile, split: Split, target: Path, on_image: Progress | None
) -> None:
    part = target.with_name(f".{split}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    try:
        _write_split(profile, split, part, on_image)
        _sync_tree(part)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(target.parent)


def _write_split(
    profile: ShapesProfile, split: Split, folder: Path, on_image: Progress | None
) -> None:
    drawing = profile.drawing
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    total = drawing.images.of(split)
    (folder / "images").mkdir(parents=True)
    for index in range(total):
        image, objects = draw_image(drawing, split, index)
        name = f"{index:06d}.png"
        _write_png(folder / "images" / name, image)
        images.append(CocoImage(index, name, drawing.image_size, drawing.image_size))
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
            "seed": drawing.seed,
        },
        licenses=[{"id": 1, "name": "CC0-1.0"}],
        images=images,
        annotations=annotations,
        categories=[CocoCategory(i, name) for i, name in enumerate(drawing.classes, start=1)],
    )
    (folder / "annotations.json").write_bytes(msgspec.json.encode(coco))


def _write_png(path: Path, image: Image) -> None:
    """As cv2.imwrite, which tells nobody why it failed."""
    encoded, png = cv2.imencode(".png", image)
    if not encoded:
        raise OSError(f"{path}: cannot be encoded as PNG")
    path.write_bytes(png.tobytes())


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


def _background(rng: np.random.Generator, size: int) -> Canvas:
    """A gradient with soft blobs and thin lines: busy, but of lower contrast than the objects."""
    base = rng.uniform(50, 205, 3)
    canvas = _gradient(rng, size, base)
    canvas += _blobs(rng, size)
    for _ in range(rng.integers(2, 12)):
        start, end = rng.integers(0, size, (2, 2)).tolist()
        colour = np.clip(base + rng.uniform(-70, 70, 3), 0, 255).tolist()
        cv2.line(canvas, start, end, colour, int(rng.integers(1, 4)), cv2.LINE_8)
    return np.clip(canvas, 0, 255)


def _gradient(rng: np.random.Generator, size: int, base: NDArray[np.float64]) -> Canvas:
    start, end = np.clip(base + rng.uniform(-30, 30, (2, 3)), 0, 255)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    ramp = np.clip(x * np.cos(angle) + y * np.sin(angle) + 0.5, 0, 1)[..., None]
    canvas: Canvas = (start + (end - start) * ramp).astype(np.float32)
    return canvas


def _blobs(rng: np.random.Generator, size: int) -> Canvas:
    """Blurred ellipses, as differences from what lies below them."""
    blobs = np.zeros((size, size, 3), np.float32)
    for _ in range(rng.integers(6, 16)):
        centre = rng.integers(0, size, 2).tolist()
        axes = rng.integers(size // 16, size // 4, 2).tolist()
        tint = rng.uniform(-35, 35, 3).tolist()
        cv2.ellipse(blobs, centre, axes, rng.uniform(0, 180), 0, 360, tint, cv2.FILLED)
    blurred: Canvas = cv2.GaussianBlur(blobs, (0, 0), size / 64)
    return blurred


def _place_objects(rng: np.random.Generator, drawing: Drawing) -> list[DrawnObject]:
    """Between none and `max_objects` objects; one that finds no room is left out."""
    objects: list[DrawnObject] = []
    for _ in range(rng.integers(0, drawing.max_objects + 1)):
        label = int(rng.integers(len(drawing.classes)))
        for _ in range(PLACEMENT_TRIES):
            drawn = DrawnObject(label, _random_outline(rng, drawing, drawing.classes[label]))
            if all(_overlap(drawn.box, other.box) <= drawing.max_overlap for other in objects):
                objects.append(drawn)
                break
    return objects


def _random_outline(rng: np.random.Generator, drawing: Drawing, shape: Shape) -> Outline:
    """A shape of any size and rotation, wholly inside the image."""
    radius = rng.uniform(*drawing.object_size) / 2
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    margin = radius + 1  # px, so that the anti-aliased rim is inside, too
    centre = rng.uniform(margin, drawing.image_size - margin, 2)
    outline: Outline = OUTLINES[shape] @ rotation.T * radius + centre
    return outline


def _paint(rng: np.random.Generator, canvas: Canvas, outline: Outline, min_contrast: float) -> None:
    """Fill an outline with a colour that stands out from what lies below it."""
    corners = np.round((outline - PIXEL_CENTRE) * 2**SUBPIXEL_BITS).astype(np.int32)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    below = np.array(cv2.mean(canvas, mask)[:3])
    colour = rng.uniform(0, 255, 3)
    while np.linalg.norm(colour - below) < min_contrast:
        colour = rng.uniform(0, 255, 3)
    cover = (mask / np.float32(255))[..., None]
    canvas += cover * (colour.astype(np.float32) - canvas)


def _overlap(a: Box, b: Box) -> float:
    """The intersection of two boxes as a share of the smaller one: 0 apart, 1 contained."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min(_area(a), _area(b))


def _area(box: Box) -> float:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def _regular_polygon(corners: int) -> Outline:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star(points: int, inner_radius: float) -> Outline:
    star = _regular_polygon(2 * points)
    star[1::2] *= inner_radius
    return star


OUTLINES: dict[Shape, Outline] = {
    "circle": _regular_polygon(64),
    "triangle": _regular_polygon(3),
    "square": _regular_polygon(4),
    "pentagon": _regular_polygon(5),
    "star": _star(5, inner_radius=0.42),
}
"""Each shape's corners, in or on the unit circle."""


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all splits of a profile; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runners.datasets.shapes")
    parser.add_argument("profile", type=Path, metavar="PROFILE_TOML")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        profile = read_profile(options.profile)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    for split in SPLITS:
        sys.stdout.write(f"{ensure_split(profile, split, options.folder)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
