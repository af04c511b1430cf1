"""An image as SmolVLM sees it: one tile, or a grid of tiles and the whole image as the last.

Equal, pixel by pixel, to transformers' Idefics3ImageProcessorPil (its torchvision twin resizes with
another rounding: on noise, pixels differ by several grey levels). Every tile is full, so that no
attention mask over pixels is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runners.extras import needs
from runners.images import Pixels
from runners.smolvlm.config import ImageConfig

with needs("vlm-onnx", "asking a SmolVLM"):
    from PIL import Image

LARGEST_SIDE = 4096
"""Longer sides are scaled down to it before anything else, px."""


@dataclass(frozen=True)
class Tiles:
    """`pixels`: (tiles, 3, side, side), RGB, normalised; `rows`, `columns`: 0 for a single tile."""

    pixels: NDArray[np.float32]
    rows: int
    columns: int


def cut(image: Pixels, config: ImageConfig, longest_edge: int | None, split: bool | None) -> Tiles:
    """Resize, cut and normalise; None: as the model's own files say.

    `longest_edge`: the image is scaled to it before it is cut, px. `split`: False for one tile.
    """
    whole = Image.fromarray(image[:, :, ::-1])
    side = config.max_image_size.longest_edge
    if config.do_resize:
        edge = longest_edge or config.size.longest_edge
        whole = _resized(whole, scaled_size(whole.size, edge), config)
    if not (config.do_image_splitting if split is None else split):
        return Tiles(_normalised([_resized(whole, (side, side), config)], config), 0, 0)
    whole = _resized(whole, grid_size(whole.size, side), config)
    columns, rows = whole.width // side, whole.height // side
    if rows == columns == 1:
        return Tiles(_normalised([whole], config), 0, 0)
    boxes = [
        (column * side, row * side, (column + 1) * side, (row + 1) * side)
        for row in range(rows)
        for column in range(columns)
    ]
    tiles = [whole.crop(box) for box in boxes]
    tiles.append(_resized(whole, (side, side), config))
    return Tiles(_normalised(tiles, config), rows, columns)


def scaled_size(size: tuple[int, int], longest_edge: int) -> tuple[int, int]:
    """Width and height with the longer side at `longest_edge`, the other even."""
    width, height = size
    ratio = width / height
    if width >= height:
        width, height = longest_edge, _even(int(longest_edge / ratio))
    else:
        width, height = _even(int(longest_edge * ratio)), longest_edge
    return _at_most(max(width, 1), max(height, 1))


def grid_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height rounded up to whole tiles: the longer side first, the other follows it."""
    width, height = size
    ratio = width / height
    if width >= height:
        width = _tiles(width, side) * side
        return width, _tiles(int(width / ratio), side) * side
    height = _tiles(height, side) * side
    return _tiles(int(height * ratio), side) * side, height


def _even(length: int) -> int:
    return length + length % 2


def _tiles(length: int, side: int) -> int:
    return math.ceil(length / side)


def _at_most(width: int, height: int) -> tuple[int, int]:
    ratio = width / height
    if width >= height and width > LARGEST_SIDE:
        width, height = LARGEST_SIDE, int(LARGEST_SIDE / ratio)
    elif height > width and height > LARGEST_SIDE:
        width, height = int(LARGEST_SIDE * ratio), LARGEST_SIDE
    return max(width, 1), max(height, 1)


def _resized(image: Image.Image, size: tuple[int, int], config: ImageConfig) -> Image.Image:
    return image.resize(size, Image.Resampling(config.resample))


def _normalised(tiles: list[Image.Image], config: ImageConfig) -> NDArray[np.float32]:
    """One tile after the other, so that only one is held twice."""
    side = tiles[0].width
    pixels = np.empty((len(tiles), 3, side, side), np.float32)
    scale = config.rescale_factor if config.do_rescale else 1.0
    mean = np.array(config.image_mean if config.do_normalize else (0, 0, 0), np.float32)
    deviation = np.array(config.image_std if config.do_normalize else (1, 1, 1), np.float32)
    for target, tile in zip(pixels, tiles, strict=True):
        grey_levels = np.asarray(tile).transpose(2, 0, 1)
        scaled = (grey_levels * np.float64(scale)).astype(np.float32)
        np.subtract(scaled, mean[:, None, None], out=target)
        target /= deviation[:, None, None]
    return pixels
