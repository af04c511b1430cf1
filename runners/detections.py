"""Detections, and what all families of detectors do with them: suppression, thresholds, counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgelab.problem import Problem

Floats = NDArray[np.float32]

_BLOCK = 128


class HeadProblem(Problem):
    """Outputs that are no detection head of the model's family."""


class NotFinite(HeadProblem):
    """Outputs that are not numbers, for one image; half precision may overflow on another."""


@dataclass(frozen=True)
class Detections:
    """The detections of one image, best first.

    `boxes`: (n, 4) of x1, y1, x2, y2, px; `scores`: (n,), 0 to 1; `classes`: (n,), class indices of
    the model.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.intp]

    def take(self, kept: NDArray[np.intp]) -> Detections:
        """Those with the given indices."""
        return Detections(self.boxes[kept], self.scores[kept], self.classes[kept])

    def counts(self, threshold: float) -> Counter[int]:
        """How many of each class score strictly above `threshold`, compared in float32."""
        return Counter(self.classes[self.scores > np.float32(threshold)].tolist())

    def rows(self) -> tuple[tuple[float, float, float, float, float, int], ...]:
        """Plain numbers to keep: boxes to 0.01 px, scores so exact that float32 comes back."""
        boxes = np.round(self.boxes.astype(np.float64), 2).tolist()
        scores = np.round(self.scores.astype(np.float64), 9).tolist()
        classes = self.classes.tolist()
        return tuple((*box, s, c) for box, s, c in zip(boxes, scores, classes, strict=True))


@dataclass(frozen=True)
class Selection:
    """Which detections are kept: the settings of the post-processing."""

    keep_score: float
    iou: float
    max_detections: int = 300


def suppress(boxes: Floats, iou: float, limit: int) -> NDArray[np.intp]:
    """Greedy non-maximum suppression of boxes sorted by score, best first; returns kept indices.

    A box goes when a kept, better one overlaps it by more than `iou`. Works in blocks against the
    at most `limit` kept boxes, so that memory stays small for any number of boxes.
    """
    kept = np.empty(0, np.intp)
    for start in range(0, len(boxes), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(boxes)))
        if len(kept):
            block = block[~_overlaps(boxes[kept], boxes[block], iou).any(axis=0)]
        kept = np.concatenate([kept, block[_survivors(boxes[block], iou)]])
        if len(kept) >= limit:
            break
    return kept[:limit]


def _survivors(boxes: Floats, iou: float) -> NDArray[np.intp]:
    overlaps = _overlaps(boxes, boxes, iou)
    alive = np.ones(len(boxes), np.bool_)
    for index in np.flatnonzero(np.triu(overlaps, 1).any(axis=1)):
        if alive[index]:
            alive[index + 1 :] &= ~overlaps[index, index + 1 :]
    return np.flatnonzero(alive)


def _overlaps(first: Floats, second: Floats, iou: float) -> NDArray[np.bool_]:
    """(n, m): which of `first` overlap which of `second` by more than `iou`, in float32."""
    a, b = first.T[..., None], second.T[:, None]
    common = _common_sides(a[0], a[2], b[0], b[2])
    common *= _common_sides(a[1], a[3], b[1], b[3])
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    union -= common
    with np.errstate(invalid="ignore", divide="ignore"):  # two empty boxes: 0 / 0, no overlap
        common /= union
    above: NDArray[np.bool_] = common > np.float32(iou)
    return above


def _common_sides(low_a: Floats, high_a: Floats, low_b: Floats, high_b: Floats) -> Floats:
    sides: Floats = np.minimum(high_a, high_b)
    sides -= np.maximum(low_a, low_b)
    return np.maximum(sides, np.float32(0), out=sides)
