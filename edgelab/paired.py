"""Two configurations over the same images: does one count better, or can they not be told apart?

Each image is its own control: what is resampled is the difference of its two errors, so that hard
images, which are hard for both, do not hide a difference.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgelab.records import Item

RESAMPLES = 2000
CONFIDENCE = 0.95

_FEWEST = 2

ImageErrors = dict[str, dict[int, int]]
"""Absolute count errors by image name and class index."""


@dataclass(frozen=True)
class PairedDifference:
    """Error of the second minus that of the first, with its 95 % interval; negative: it is better.

    `low` and `high` are None where fewer than two images are shared.
    """

    images: int
    difference: float
    low: float | None
    high: float | None

    @property
    def distinguishable(self) -> bool:
        """True where the interval leaves zero out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def words(self) -> str:
        """The difference, its interval and what follows from them, in one line."""
        if self.low is None or self.high is None:
            return f"{self.difference:+.3f}: too few shared images ({self.images})"
        better_or_worse = "lower" if self.difference < 0 else "higher"
        verdict = better_or_worse if self.distinguishable else "not distinguishable"
        interval = f"95 % interval {self.low:+.3f} to {self.high:+.3f}"
        return f"{self.difference:+.3f} ({interval}, {self.images} images): {verdict}"


def paired_difference(
    first: Sequence[float], second: Sequence[float], seed: int = 0
) -> PairedDifference:
    """Compare two errors an image, the same images in the same order.

    The interval is the percentile bootstrap (Efron and Tibshirani 1993, chapter 13) of the mean
    difference, 2,000 resamples of the images, the same for the same seed. Raises ValueError where
    the sequences differ in length or are empty.
    """
    if len(first) != len(second):
        raise ValueError(f"paired errors must match: got {len(first)} and {len(second)}")
    if not first:
        raise ValueError("paired errors must not be empty")
    return _of(0.0, [b - a for a, b in zip(first, second, strict=True)], seed)


def paired_counts(
    first: Mapping[str, Mapping[int, int]], second: Mapping[str, Mapping[int, int]], seed: int = 0
) -> PairedDifference | None:
    """Compare the mean MAE over sub-datasets of two passes; None where they share no image.

    Takes what `image_errors` gives, and of it the images and classes that both have. A sub-dataset
    may hold some of the images only: an image then weighs by its influence on the mean, so that
    images are resampled jointly for all sub-datasets (infinitesimal jackknife, to first order).
    """
    shared = {
        image: {index: second[image][index] - error for index, error in errors.items()}
        for image, errors in _common(first, second).items()
    }
    if not shared:
        return None
    by_class: defaultdict[int, list[int]] = defaultdict(list)
    for differences in shared.values():
        for index, difference in differences.items():
            by_class[index].append(difference)
    means = {index: math.fsum(values) / len(values) for index, values in by_class.items()}
    weights = {index: len(shared) / len(values) / len(means) for index, values in by_class.items()}
    mean = math.fsum(means.values()) / len(means)
    influences = [
        math.fsum(weights[index] * (value - means[index]) for index, value in differences.items())
        for differences in shared.values()
    ]
    return _of(mean, influences, seed)


def image_errors(items: Iterable[Item], position: int, classes: int) -> ImageErrors:
    """Absolute count errors of the first repetition, for each image and class it counts for.

    `position`: of the threshold in the spec; `classes`: how many the dataset has. Items that gave
    no count are left out.
    """
    found: ImageErrors = {}
    for item in items:
        errors = item.count_errors(position)
        if errors is None or item.repetition:
            continue
        counted = range(classes) if item.evaluated is None else item.evaluated
        own = found.setdefault(item.image, {})
        own.update({index: abs(errors.get(index, 0)) for index in counted})
    return found


def _common(
    first: Mapping[str, Mapping[int, int]], second: Mapping[str, Mapping[int, int]]
) -> dict[str, dict[int, int]]:
    """Of the first, the images and classes that the second has too, in the order of the names."""
    common = {
        image: {index: first[image][index] for index in sorted(first[image].keys() & other.keys())}
        for image, other in sorted(second.items())
        if image in first
    }
    return {image: errors for image, errors in common.items() if errors}


def _of(centre: float, values: list[float], seed: int) -> PairedDifference:
    n = len(values)
    difference = centre + math.fsum(values) / n
    if n < _FEWEST:
        return PairedDifference(n, difference, None, None)
    drawn = random.Random(seed)  # noqa: S311 - a resample, not a secret
    means = sorted(sum(drawn.choices(values, k=n)) / n for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    low, high = means[round(tail * RESAMPLES)], means[round((1 - tail) * RESAMPLES) - 1]
    return PairedDifference(n, difference, centre + low, centre + high)
