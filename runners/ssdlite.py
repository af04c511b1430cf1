"""The SSDLite family: torchvision's `ssdlite320_mobilenet_v3_large`, as this project exports it.

Follows torchvision's transform and `postprocess_detections`, so that both give the same detections:
softmax over the classes and the background, scores strictly above the limit, the `MAX_CANDIDATES`
best anchors of each class, boxes decoded and clipped to the input, suppression within each class.

The model gives the raw heads; the anchors lie in the file's metadata, as little-endian float32 in
base64: there no conversion rounds them, and a copied file needs nothing beside it.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edgelab.catalogue import FamilyName
from runners.detections import Detections, Floats, HeadProblem, NotFinite, Selection, suppress
from runners.images import Pixels
from runners.letterbox import Fit

MAX_CANDIDATES = 300
ANCHORS_KEY = "anchors"

# The box coder of SSD (https://arxiv.org/abs/1512.02325), as torchvision weighs and bounds it.
CENTRE_WEIGHT = np.float32(10)
SIDE_WEIGHT = np.float32(5)
LARGEST_LOG_SIDE = np.float32(math.log(1000 / 16))

_HALF_RANGE = np.float32(127.5)  # of 8 bits: makes -1 to 1
_COORDINATES = 4


class Stretch:
    """Turns images into one tensor, (1, 3, height, width), RGB, -1 to 1, in buffers made once.

    The image is stretched to the input, whatever its proportions. The tensor that a call returns is
    valid until the next call.
    """

    def __init__(self, input_size: tuple[int, int], dtype: Any = np.float32) -> None:
        self.input_size = input_size
        self._stretched = np.empty((*input_size, 3), np.float32)
        self._tensor = np.empty((1, 3, *input_size), dtype)

    def __call__(self, image: Pixels) -> tuple[NDArray[Any], Fit]:
        """Stretch `image`; returns the tensor and how the image lies in it."""
        height, width = self.input_size
        # In float, as torchvision does: 8 bits would round what lies between two pixels.
        source = image.astype(np.float32)
        cv2.resize(source, (width, height), dst=self._stretched, interpolation=cv2.INTER_LINEAR)
        np.divide(self._stretched, _HALF_RANGE, out=self._stretched)
        np.subtract(self._stretched, np.float32(1), out=self._stretched)
        planes = self._stretched[..., ::-1].transpose(2, 0, 1)
        np.copyto(self._tensor[0], planes, casting="same_kind")
        return self._tensor, Fit((image.shape[0], image.shape[1]), self.input_size, top=0, left=0)


@dataclass(frozen=True)
class Ssdlite:
    """Two outputs for one image: class logits, (1, anchors, 1 + classes), background first, and
    box regression, (1, anchors, 4), relative to `anchors`, (n, 4) of x1, y1, x2, y2, px."""

    name: ClassVar[FamilyName] = "ssdlite"
    default_iou: ClassVar[float] = 0.55

    input_size: tuple[int, int]
    anchors: Floats

    @classmethod
    def of_metadata(cls, properties: Mapping[str, str], input_size: tuple[int, int]) -> Ssdlite:
        """Read the anchors from a file's metadata; raises HeadProblem where they are not there."""
        text = properties.get(ANCHORS_KEY, "")
        try:
            anchors = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
            boxes = anchors.reshape(-1, _COORDINATES).astype(np.float32)
        except (binascii.Error, ValueError):
            boxes = np.empty((0, _COORDINATES), np.float32)
        if not len(boxes) or not np.isfinite(boxes).all():
            raise HeadProblem(
                f"metadata {ANCHORS_KEY} = {text[:80]!r}: expected finite float32 numbers in "
                "base64, four an anchor"
            )
        return cls(input_size, boxes)

    def preprocessor(self, dtype: Any) -> Stretch:
        """torchvision's resizing and normalisation."""
        return Stretch(self.input_size, dtype)

    def classes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """The classes of the head, without the background."""
        anchors = len(self.anchors)
        if len(shapes) == 2 and len(shapes[0]) == 3:
            classes = shapes[0][2] - 1
            expected = [(1, anchors, 1 + classes), (1, anchors, _COORDINATES)]
            if classes > 0 and list(shapes) == expected:
                return classes
        raise HeadProblem(
            f"gives {', '.join(map(str, shapes))}, expected class logits "
            f"(1, {anchors}, 1 + classes) and box regression (1, {anchors}, 4)"
        )

    def detect(self, outputs: Sequence[NDArray[Any]], selection: Selection) -> Detections:
        """The detections in the outputs for one image, in px of the input."""
        self.classes([output.shape for output in outputs])
        logits, regression = (output[0].astype(np.float32, copy=False) for output in outputs)
        if not (np.isfinite(logits).all() and np.isfinite(regression).all()):
            raise NotFinite("the model gives scores or boxes that are not numbers")
        scores = _softmax(logits)[:, 1:]
        present = np.flatnonzero(scores.max(axis=0) > np.float32(selection.keep_score))
        found = [
            self._of_class(int(each), scores[:, each], regression, selection) for each in present
        ]
        return _best_first(found, selection.max_detections)

    def _of_class(
        self, label: int, scores: Floats, regression: Floats, selection: Selection
    ) -> Detections:
        above = np.flatnonzero(scores > np.float32(selection.keep_score))
        candidates = above[np.argsort(-scores[above], kind="stable")][:MAX_CANDIDATES]
        boxes = self._decode(regression[candidates], self.anchors[candidates])
        found = Detections(boxes, scores[candidates], np.full(len(candidates), label, np.intp))
        return found.take(suppress(boxes, selection.iou, MAX_CANDIDATES))

    def _decode(self, regression: Floats, anchors: Floats) -> Floats:
        """Boxes, (n, 4) of x1, y1, x2, y2, px, inside the input."""
        sides = anchors[:, 2:] - anchors[:, :2]
        centres = anchors[:, :2] + sides / np.float32(2)
        centres = centres + regression[:, :2] / CENTRE_WEIGHT * sides
        growth = np.minimum(regression[:, 2:] / SIDE_WEIGHT, LARGEST_LOG_SIDE)
        half = np.exp(growth) * sides / np.float32(2)
        height, width = self.input_size
        corners = np.concatenate([centres - half, centres + half], axis=1)
        boxes: Floats = np.clip(corners, np.float32(0), np.array([width, height] * 2, np.float32))
        return boxes


def encode_anchors(anchors: Floats) -> str:
    """The anchors as the metadata keep them."""
    return base64.b64encode(np.ascontiguousarray(anchors, "<f4").tobytes()).decode("ascii")


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _best_first(found: Sequence[Detections], limit: int) -> Detections:
    if not found:
        return Detections(
            np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.intp)
        )
    merged = Detections(
        np.concatenate([each.boxes for each in found]),
        np.concatenate([each.scores for each in found]),
        np.concatenate([each.classes for each in found]),
    )
    return merged.take(np.argsort(-merged.scores, kind="stable")[:limit])
