"""From a YOLO head's output to detections: confidence, non-maximum suppression, counts.

Follows ultralytics' `predict` to the last comparison, so that both give the same detections: the
best class of each anchor, scores strictly above the confidence, suppression within each class by
moving classes apart, at most `MAX_CANDIDATES` boxes before and `max_detections` after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgelab.problem import Problem
from runners.letterbox import Fit, Floats

MAX_CANDIDATES = 30_000
CLASS_OFFSET = np.float32(7680)
"""Boxes of different classes are moved this many px apart, so that they never overlap."""

_BLOCK = 128
_END_TO_END_COLUMNS = 6


class HeadProblem(Problem):
    """An output that is no YOLO detection head."""


class NotFinite(HeadProblem):
    """Boxes that are not numbers, from one image; half precision may overflow on another."""


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

    def detect(self, output: NDArray[Any], fit: Fit) -> Detections:
        """Read the output of one image, (1, ...): a raw head, or one with suppression inside.

        A raw head is (1, 4 + classes, anchors) with boxes of centre, width, height; the other is
        (1, n, 6) with x1, y1, x2, y2, score, class. Raises HeadProblem for anything else, NotFinite
        for this image only.
        """
        if output.ndim != 3 or output.shape[0] != 1:
            raise HeadProblem(f"the model gives {output.shape}, expected (1, rows, columns)")
        rows = output[0].astype(np.float32, copy=False)
        if is_end_to_end(output.shape):
            found = self._of_end_to_end(rows)
        else:
            found = self._of_raw_head(rows)
        if not np.isfinite(found.boxes).all():
            raise NotFinite("the model gives boxes that are not numbers")
        return Detections(fit.to_image(found.boxes), found.scores, found.classes)

    def _of_end_to_end(self, rows: Floats) -> Detections:
        rows = rows[rows[:, 4] > np.float32(self.keep_score)]
        # Such heads sort by score already; the order decides what a lower cut would keep.
        rows = rows[np.argsort(-rows[:, 4], kind="stable")][: self.max_detections]
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))

    def _of_raw_head(self, rows: Floats) -> Detections:
        best = rows[4:].max(axis=0)
        anchors = np.flatnonzero(best > np.float32(self.keep_score))
        scores = best[anchors]
        order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        anchors, scores = anchors[order], scores[order]
        candidates = rows[:, anchors]
        found = Detections(_corners(candidates[:4].T), scores, candidates[4:].argmax(axis=0))
        apart = found.boxes + (found.classes.astype(np.float32) * CLASS_OFFSET)[:, None]
        return found.take(suppress(apart, self.iou, self.max_detections))


def is_end_to_end(shape: Sequence[Any]) -> bool:
    """True where suppression happened inside the model: rows of x1, y1, x2, y2, score, class."""
    return len(shape) == 3 and shape[-1] == _END_TO_END_COLUMNS


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


def _corners(boxes: Floats) -> Floats:
    """From centre, width, height to x1, y1, x2, y2."""
    half = boxes[:, 2:] / np.float32(2)
    corners: Floats = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners
