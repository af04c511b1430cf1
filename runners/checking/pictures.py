"""Whether the images of a dataset are there and whole, and whether boxes lie inside them."""

from __future__ import annotations

from collections.abc import Callable

from edgelab.dataset_report import Kind
from runners.checking.listing import ListedImage, Listing, PlacedBox
from runners.images import ImageProblem, read_image

TOLERANCE_PX = 1.0
"""Annotators' boxes end half a pixel beyond a border; no count and no overlap feels that."""

OnImage = Callable[[int, int], None]
"""Told of each image: how many are done, of how many."""


def check_pictures(listing: Listing, on_image: OnImage) -> int:
    """Decode every image and check sizes and boxes against it; returns how many have pixels."""
    readable = 0
    for done, image in enumerate(listing.images, 1):
        size = _size_of(image, listing)
        readable += size is not None
        _check_boxes(image, size, listing)
        on_image(done, len(listing.images))
    return readable


def _size_of(image: ListedImage, listing: Listing) -> tuple[int, int] | None:
    """Width and height as decoded, px; what is wrong with the file is told."""
    if image.path is None:
        listing.found(Kind.NAME, image.name, image.problem or "no path")
        return None
    if not image.path.exists():
        listing.found(Kind.MISSING, image.name, f"{image.path} does not exist")
        return None
    try:
        height, width = read_image(image.path).shape[:2]
    except ImageProblem as problem:
        listing.found(Kind.BROKEN, image.name, str(problem))
        return None
    if image.size is not None and image.size != (width, height):
        told = f"{image.size[0]} x {image.size[1]}"
        what = f"{told} px in the annotations, {width} x {height} px in the file"
        turned = image.size == (height, width)
        listing.found(Kind.SIZE, image.name, what + (": turned, as its EXIF says?" * turned))
    return width, height


def _check_boxes(image: ListedImage, size: tuple[int, int] | None, listing: Listing) -> None:
    """Against the file; where that gives no size, against what the annotations say, else not."""
    size = size or image.size
    if size is None and not image.relative:
        return
    for box in image.boxes:
        what = _outside(box, size, image.relative)
        if what is not None:
            listing.found(Kind.OUTSIDE, box.where, what)


def _outside(box: PlacedBox, size: tuple[int, int] | None, relative: bool) -> str | None:
    """How far the box reaches out of the image, where that is more than the tolerance."""
    if size is None:
        beyond = _beyond(box, 1, 1)
        return f"reaches out of the image by {beyond:.0%} of its side" if beyond > 0.01 else None
    width, height = size
    placed = box.scaled(width, height) if relative else box
    beyond = _beyond(placed, width, height)
    if beyond <= TOLERANCE_PX:
        return None
    numbers = ", ".join(f"{value:g}" for value in placed[1:])
    return f"box {numbers} reaches {beyond:.1f} px out of the image of {width} x {height} px"


def _beyond(box: PlacedBox, width: float, height: float) -> float:
    right, bottom = box.x + box.width - width, box.y + box.height - height
    return max(-box.x, -box.y, right, bottom)
