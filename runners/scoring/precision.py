"""Average precision of a pass: by class and as means, each with its interval over the images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgelab.records import ClassPrecision, Interval
from runners.scoring.average_precision import Matches, average_precisions
from runners.scoring.bootstrap import Floats, bounds, draws
from runners.scoring.coco import Matcher
from runners.scoring.scored import ScoredImage

RESAMPLES = 1000
_AT_ONCE_BYTES = 64e6

OnClass = Callable[[int], None]
"""Told of each class that is done."""


@dataclass(frozen=True)
class PrecisionFigures:
    """mAP50 and mAP50-95 over the classes that have objects, and each class."""

    map50: Interval | None
    map50_95: Interval | None
    classes: tuple[ClassPrecision, ...]


def precision_figures(
    images: Sequence[ScoredImage], classes: int, on_class: OnClass
) -> PrecisionFigures:
    """The figures are pycocotools' own; the intervals are of images drawn anew."""
    matcher = Matcher(images)
    values, resampled = [], []
    for index in range(classes):
        found = matcher.match(index)
        values.append(None if found.ap is None else _both(found.ap[None])[0])
        resampled.append(_resampled(found.matches, len(images)))
        on_class(index + 1)
    named = tuple(map(_class_precision, values, resampled))
    known = [value for value in values if value is not None]
    if not known:
        return PrecisionFigures(None, None, named)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw without any object
        means = np.nanmean(np.stack(resampled), axis=0)
    map50, map50_95 = _intervals(np.mean(known, axis=0), means)
    return PrecisionFigures(map50, map50_95, named)


def _resampled(matches: Matches, images: int) -> Floats:
    """AP50 and AP50-95 of each draw, (draws, 2)."""
    at_once = int(max(1, min(100, _AT_ONCE_BYTES // (8 * max(images, len(matches.image), 1)))))
    parts = [
        average_precisions(matches, each) for each in draws(images, RESAMPLES, at_once=at_once)
    ]
    return _both(np.concatenate(parts))


def _both(by_iou: Floats) -> Floats:
    """(..., IoUs from 0.5 to 0.95) to (..., 2)."""
    return np.stack([by_iou[..., 0], by_iou.mean(axis=-1)], axis=-1)


def _class_precision(value: Floats | None, resampled: Floats) -> ClassPrecision:
    return ClassPrecision() if value is None else ClassPrecision(*_intervals(value, resampled))


def _intervals(value: Floats, resampled: Floats) -> list[Interval | None]:
    limits = bounds(resampled)
    return [
        None if limit is None else Interval(float(figure), limit.low, limit.high)
        for figure, limit in zip(value, limits, strict=True)
    ]
