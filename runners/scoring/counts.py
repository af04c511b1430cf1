"""Errors of counts with their intervals: each class over the images that count for it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgelab.records import Bounds, CountBounds, Item, ThresholdBounds
from runners.scoring.bootstrap import Floats, bounds, draws

RESAMPLES = 2000
_FEWEST = 2

_FIGURES = ("mae", "rmse", "bias", "exact")


@dataclass(frozen=True)
class CountTable:
    """`errors`, (images, classes): counted minus true; `counted`: where an image counts."""

    errors: Floats
    counted: NDArray[np.bool_]


def count_table(items: Sequence[Item], position: int, classes: int) -> CountTable:
    """The errors at a threshold, of all items that have a count to be wrong."""
    known = [(item, found) for item in items if (found := item.count_errors(position)) is not None]
    errors = np.zeros((len(known), classes))
    counted = np.ones((len(known), classes), np.bool_)
    for row, (item, found) in enumerate(known):
        for index, error in found.items():
            errors[row, index] = error
        if item.evaluated is not None:
            counted[row] = False
            counted[row, list(item.evaluated)] = True
    return CountTable(errors, counted)


def figures(table: CountTable, weights: Floats) -> Floats:
    """MAE, RMSE, bias, exact share of each class, (b, 4, classes), of images drawn by `weights`,
    (b, images); NaN for a class of which no image was drawn."""
    errors = table.errors * table.counted
    sums = [
        weights @ part
        for part in (np.abs(errors), errors**2, errors, (errors == 0) & table.counted)
    ]
    with np.errstate(invalid="ignore"):
        means = np.stack(sums, axis=1) / (weights @ table.counted)[:, None, :]
    means[:, 1] = np.sqrt(means[:, 1])
    return means


def count_bounds(threshold: float | None, table: CountTable) -> ThresholdBounds:
    """The intervals of every class and of the means over the classes."""
    images, classes = table.errors.shape
    if images < _FEWEST:
        return ThresholdBounds(threshold)
    resampled = np.concatenate([figures(table, each) for each in draws(images, RESAMPLES)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no class had an image
        means = np.nanmean(resampled, axis=2)
    enough = table.counted.sum(axis=0) >= _FEWEST
    by_class = tuple(
        _named(bounds(resampled[:, :, index])) if enough[index] else CountBounds()
        for index in range(classes)
    )
    return ThresholdBounds(threshold, _named(bounds(means)), by_class)


def _named(values: list[Bounds | None]) -> CountBounds:
    return CountBounds(**dict(zip(_FIGURES, values, strict=True)))
