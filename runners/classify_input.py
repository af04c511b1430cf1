"""How an image becomes the input of a classifier: the same in training, export and measuring."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from runners.images import Pixels

Side = int
"""Px a side of the square input."""


CLASSIFY = "classify"
"""The task that stands in a classifier's metadata."""


def to_input(image: Pixels, side: Side) -> tuple[NDArray[np.float32], None]:
    """The input tensor of a classifier, (1, 3, side, side)."""
    return as_planes(resized(image, side))[None], None


def resized(image: Pixels, side: Side) -> Pixels:
    """Stretched to a square: by area where it shrinks, by lines where it grows."""
    height, width = image.shape[:2]
    if (height, width) == (side, side):
        return image
    how = cv2.INTER_AREA if min(height, width) >= side else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=how)  # type: ignore[no-any-return]


def as_planes(image: Pixels) -> NDArray[np.float32]:
    """(3, side, side), RGB, 0 to 1."""
    planes = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)).astype(np.float32)
    planes /= 255
    return planes
