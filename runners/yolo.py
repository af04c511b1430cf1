"""The YOLO family, as ultralytics exports it.

Follows ultralytics' `predict` to the last comparison, so that both give the same detections: the
best class of each anchor, scores strictly above the confidence, suppression within each class by
moving classes apart, at most `MAX_CANDIDATES` boxes before and `max_detections` after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgelab.catalogue import FamilyName
from runners.detections import Detections, Floats, HeadProblem, NotFinite, Selection, suppress
from runners.letterbox import Letterbox

MAX_CANDIDATES = 30_000
CLASS_OFFSET = np.float32(7680)
"""Boxes of different classes are moved this many px apart, so that they never overlap."""

_BOX_ROWS = 4
_END_TO_END_COLUMNS = 6


@dataclass(frozen=True)
class Yolo:
    """One output for one image: a raw head, or one with suppression inside.

    A raw head is (1, 4 + classes, anchors) with boxes of centre, width, height; the other is
    (1, n, 6) with x1, y1, x2, y2, score, class.
    """

    name: ClassVar[FamilyName] = "yolo"
    default_iou: ClassVar[float] = 0.7

    input_size: tuple[int, int]

    def preprocessor(self, dtype: Any) -> Letterbox:
        """ultralytics' letterbox."""
        return Letterbox(self.input_size, dtype)

    def classes(self, shapes: Sequence[tuple[int, ...]]) -> int | None:
        """The classes of a raw head; None for one with suppression inside."""
        if len(shapes) != 1:
            raise HeadProblem(f"gives {len(shapes)} outputs, expected the one of a detector")
        (shape,) = shapes
        if is_end_to_end(shape):
            return None
        if len(shape) != 3 or shape[0] != 1 or shape[1] <= _BOX_ROWS:
            raise HeadProblem(
                f"gives {shape}, expected a raw head (1, 4 + classes, anchors) "
                "or detections (1, n, 6)"
            )
        return shape[1] - _BOX_ROWS

    def detect(self, outputs: Sequence[NDArray[Any]], selection: Selection) -> Detections:
        """The detections in the output for one image, in px of the input."""
        output = outputs[0]
        if output.ndim != 3 or output.shape[0] != 1:
            raise HeadProblem(f"the model gives {output.shape}, expected (1, rows, columns)")
        rows = output[0].astype(np.float32, copy=False)
        read = _of_end_to_end if is_end_to_end(output.shape) else _of_raw_head
        found = read(rows, selection)
        if not np.isfinite(found.boxes).all():
            raise NotFinite("the model gives boxes that are not numbers")
        return found


def is_end_to_end(shape: Sequence[Any]) -> bool:
    """True where suppression happened inside the model: rows of x1, y1, x2, y2, score, class."""
    return len(shape) == 3 and shape[-1] == _END_TO_END_COLUMNS


def _of_end_to_end(rows: Floats, selection: Selection) -> Detections:
    _check_scores(rows[:, 4:])
    rows = rows[rows[:, 4] > np.float32(selection.keep_score)]
    # Such heads sort by score already; the order decides what a lower cut would keep.
    rows = rows[np.argsort(-rows[:, 4], kind="stable")][: selection.max_detections]
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))


def _of_raw_head(rows: Floats, selection: Selection) -> Detections:
    best = rows[4:].max(axis=0)
    _check_scores(best)  # NaN among the values makes their maximum NaN
    anchors = np.flatnonzero(best > np.float32(selection.keep_score))
    scores = best[anchors]
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    anchors, scores = anchors[order], scores[order]
    candidates = rows[:, anchors]
    found = Detections(_corners(candidates[:4].T), scores, candidates[4:].argmax(axis=0))
    apart = found.boxes + (found.classes.astype(np.float32) * CLASS_OFFSET)[:, None]
    return found.take(suppress(apart, selection.iou, selection.max_detections))


def _check_scores(scores: Floats) -> None:
    """Scores that are not numbers are above no threshold: the image would look empty."""
    if not np.isfinite(scores).all():
        raise NotFinite("the model gives scores that are not numbers")


def _corners(boxes: Floats) -> Floats:
    """From centre, width, height to x1, y1, x2, y2."""
    half = boxes[:, 2:] / np.float32(2)
    corners: Floats = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners
