"""From an image to a detector's input tensor, and from its boxes back to the image.

The geometry is that of ultralytics' `LetterBox` and `scale_boxes`: scale to fit, keep the aspect
ratio, centre, pad with grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runners.detections import Floats
from runners.images import Pixels

PADDING_GREY = 114


@dataclass(frozen=True)
class Fit:
    """How an image lies in the tensor: its scaled size and where it starts, px."""

    image_size: tuple[int, int]  # height, width
    scaled_size: tuple[int, int]
    top: int
    left: int

    @staticmethod
    def of(image_size: tuple[int, int], input_size: tuple[int, int]) -> Fit:
        """Fit an image into an input; both are (height, width)."""
        gain = min(input_size[0] / image_size[0], input_size[1] / image_size[1])
        height, width = (max(round(side * gain), 1) for side in image_size)
        # An odd remainder of padding goes to the bottom and to the right.
        top = round((input_size[0] - height) / 2 - 0.1)
        left = round((input_size[1] - width) / 2 - 0.1)
        return Fit(image_size, (height, width), top, left)

    def to_image(self, boxes: Floats) -> Floats:
        """Move boxes, (n, 4) of x1, y1, x2, y2, from the input to the image, inside its borders."""
        height, width = self.image_size
        origin = np.array([self.left, self.top] * 2, np.float32)
        gain_y, gain_x = self.scaled_size[0] / height, self.scaled_size[1] / width
        gain = np.array([gain_x, gain_y] * 2, np.float32)
        limit = np.array([width, height] * 2, np.float32)
        moved: Floats = np.clip((boxes - origin) / gain, np.float32(0), limit)
        return moved


class Letterbox:
    """Turns images into one tensor, (1, 3, height, width), RGB, 0 to 1, in buffers made once.

    The tensor that a call returns is valid until the next call.
    """

    def __init__(self, input_size: tuple[int, int], dtype: Any = np.float32) -> None:
        self.input_size = input_size
        self._canvas = np.full((*input_size, 3), PADDING_GREY, np.uint8)
        self._planes = np.empty((3, *input_size), np.uint8)
        self._scaled = np.empty((1, 3, *input_size), np.float32)
        self._tensor = self._scaled if dtype == np.float32 else np.empty_like(self._scaled, dtype)
        self._fit: Fit | None = None

    def __call__(self, image: Pixels) -> tuple[NDArray[Any], Fit]:
        """Scale and pad `image`; returns the tensor and how the image lies in it."""
        fit = self._prepare_canvas((image.shape[0], image.shape[1]))
        height, width = fit.scaled_size
        inside = self._canvas[fit.top : fit.top + height, fit.left : fit.left + width]
        cv2.resize(image, (width, height), dst=inside, interpolation=cv2.INTER_LINEAR)
        red, green, blue = self._planes
        cv2.split(self._canvas, [blue, green, red])
        np.divide(self._planes, np.float32(255), out=self._scaled[0])
        if self._tensor is not self._scaled:
            np.copyto(self._tensor, self._scaled, casting="same_kind")
        return self._tensor, fit

    def _prepare_canvas(self, image_size: tuple[int, int]) -> Fit:
        """Repaint the padding, only where the last image lay differently."""
        if self._fit is not None and self._fit.image_size == image_size:
            return self._fit
        fit = Fit.of(image_size, self.input_size)
        self._canvas.fill(PADDING_GREY)
        self._fit = fit
        return fit
