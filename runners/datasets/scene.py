"""Scenes of countable objects: coloured shapes on a cluttered background, drawn from a seed."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

PLACEMENT_TRIES = 40

PIXEL_CENTRE = 0.5
"""OpenCV draws with a pixel's centre at whole numbers; boxes have its corners there."""

SUBPIXEL_BITS = 4

Shape = Literal["circle", "triangle", "square", "pentagon", "star"]

Image = NDArray[np.uint8]
"""(height, width, 3), BGR."""

Canvas = NDArray[np.float32]
"""An image in the making: (height, width, 3), BGR, 0 to 255."""

Outline = NDArray[np.float64]
"""The corners of a polygon: (n, 2), x and y."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in px."""

Pixels = Annotated[int, Meta(ge=8, le=4096)]
Deviation = Annotated[float, Meta(ge=0, le=255)]


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is drawn.

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

    def __post_init__(self) -> None:
        smallest, largest = self.object_size
        if not smallest <= largest <= self.image_size // 2:
            raise ValueError(
                f"expected `object_size` to rise to at most half of `image_size`, "
                f"{self.image_size // 2}, got {[smallest, largest]}"
            )
        if self.noise[0] > self.noise[1]:
            raise ValueError(f"expected `noise` to rise, got {list(self.noise)}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(
                f"expected `classes` to name each shape once, got {list(self.classes)}"
            )


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


def draw(scene: Scene, *stream: int) -> tuple[Image, list[DrawnObject]]:
    """Draw an image, and tell what is on it, from back to front.

    `stream` numbers the image: other numbers give an independent image, the same numbers the same.
    """
    rng = np.random.default_rng([scene.seed, *stream])
    canvas = _background(rng, scene.image_size)
    objects = _place_objects(rng, scene)
    for drawn in objects:
        _paint(rng, canvas, drawn.outline, scene.min_contrast)
    noise = rng.normal(0.0, rng.uniform(*scene.noise), canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8), objects


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


def _place_objects(rng: np.random.Generator, scene: Scene) -> list[DrawnObject]:
    """Between none and `max_objects` objects; one that finds no room is left out."""
    objects: list[DrawnObject] = []
    for _ in range(rng.integers(0, scene.max_objects + 1)):
        label = int(rng.integers(len(scene.classes)))
        for _ in range(PLACEMENT_TRIES):
            drawn = DrawnObject(label, _random_outline(rng, scene, scene.classes[label]))
            if all(_overlap(drawn.box, other.box) <= scene.max_overlap for other in objects):
                objects.append(drawn)
                break
    return objects


def _random_outline(rng: np.random.Generator, scene: Scene, shape: Shape) -> Outline:
    """A shape of any size and rotation, wholly inside the image."""
    radius = rng.uniform(*scene.object_size) / 2
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    margin = radius + 1  # px, so that the anti-aliased rim is inside, too
    centre = rng.uniform(margin, scene.image_size - margin, 2)
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
