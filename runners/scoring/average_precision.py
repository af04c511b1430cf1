"""Average precision as COCO has it, of images drawn any number of times.

https://cocodataset.org/#detection-eval: precision, made to fall with recall, is read at 101 recalls
and averaged. An image that is drawn k times is k equal images, so that no detection is matched anew
for a resample: sums over the matches of `runners.scoring.coco` are enough. Of equal scores on one
image, whose order no rule gives, all copies of the one come before those of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runners.scoring.bootstrap import Floats

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Matches:
    """The detections of one class, best score first, and its objects.

    `image`, (d,): which image each is of; `hits`, (IoUs, d): it finds an object that no better one
    found; `ignored`, (IoUs, d): it lies in a crowd; `objects`, (images,): what was there to find.
    """

    image: NDArray[np.intp]
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    objects: Floats


def average_precisions(matches: Matches, weights: Floats) -> Floats:
    """(b, IoUs) of images drawn by `weights`, (b, images); NaN where no object was drawn."""
    drawn = weights[:, matches.image]
    objects = (weights @ matches.objects)[:, None]
    answered = _Answered(drawn)
    columns = [
        _one_iou(drawn[:, ~ignored], answered.at(ignored), hits[~ignored], objects)
        for hits, ignored in zip(matches.hits, matches.ignored, strict=True)
    ]
    found = np.stack(columns, axis=1)
    found[objects[:, 0] == 0] = np.nan
    return found


def _one_iou(drawn: Floats, answered: Floats, hits: NDArray[np.bool_], objects: Floats) -> Floats:
    """Precision rises at hits only, so all other places may be left out."""
    places = np.flatnonzero(hits)
    found = np.cumsum(drawn[:, places], axis=1)
    precision = found / (answered[:, places] + np.spacing(1))
    falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = np.searchsorted(RECALLS, found / objects, side="right")
    new = np.diff(reached, axis=1, prepend=0)
    total: Floats = (falling * new).sum(axis=1) / len(RECALLS)
    return total


class _Answered:
    """Detections so far, (b, d); the same for all IoUs at which the same ones are ignored."""

    def __init__(self, drawn: Floats) -> None:
        self._drawn = drawn
        self._known: dict[bytes, Floats] = {}

    def at(self, ignored: NDArray[np.bool_]) -> Floats:
        key = ignored.tobytes()
        if key not in self._known:
            self._known[key] = np.cumsum(self._drawn[:, ~ignored], axis=1)
        return self._known[key]
