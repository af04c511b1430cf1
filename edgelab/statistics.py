"""Percentiles that know their sample size, and errors of counts, in plain Python."""

from __future__ import annotations

import math
from array import array
from bisect import insort
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

from edgelab.records import Interval

CONFIDENCE = 0.99

Z95 = NormalDist().inv_cdf(0.975)
"""Half the width of a 95 % interval, in standard deviations."""


@cache
def samples_needed(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Samples below which a percentile says nothing about the tail.

    The early-stopping rule of MLPerf Inference: the least n for which at most one of n samples
    beyond the true percentile has a probability of no more than 1 - confidence, so that
    p^n + n (1-p) p^(n-1) <= 1 - confidence. At 99 %: p50 11, p90 64, p95 130, p99 662.
    `percentile` in (0, 1); raises ValueError outside.
    """
    if not 0.0 < percentile < 1.0:
        raise ValueError(f"percentile must lie between 0 and 1, got {percentile}")
    n = 1
    while percentile**n + n * (1 - percentile) * percentile ** (n - 1) > 1 - confidence:
        n += 1
    return n


def percentile_of(ordered: Sequence[float], percentile: float) -> float | None:
    """The nearest-rank percentile of values in ascending order, None below `samples_needed`.

    Nearest rank: the ceil(p n)-th smallest, always a value that was measured.
    """
    if len(ordered) < samples_needed(percentile):
        return None
    return ordered[math.ceil(percentile * len(ordered)) - 1]


class RunningPercentiles:
    """Values kept in order as they come; every one is kept, outliers too."""

    def __init__(self) -> None:
        self._ordered = array("d")  # a quarter of a list's memory, in supervisors of long runs
        self._total = 0.0

    def add(self, value: float) -> None:
        """Take one more value."""
        insort(self._ordered, value)
        self._total += value

    def __len__(self) -> int:
        return len(self._ordered)

    def at(self, percentile: float) -> float | None:
        """The percentile so far, None while there are too few values."""
        return percentile_of(self._ordered, percentile)

    @property
    def mean(self) -> float | None:
        """The mean so far."""
        return self._total / len(self._ordered) if self._ordered else None

    @property
    def largest(self) -> float | None:
        """The largest value so far."""
        return self._ordered[-1] if self._ordered else None

    def histogram(self, bins: int) -> tuple[tuple[float, float, int], ...]:
        """Equal bins from the smallest to the largest value: (from, to, count) each."""
        if not self._ordered or bins < 1:
            return ()
        low, high = self._ordered[0], self._ordered[-1]
        width = (high - low) / bins
        if width <= 0:
            return ((low, high, len(self._ordered)),)
        counts = [0] * bins
        for value in self._ordered:
            counts[min(bins - 1, int((value - low) / width))] += 1
        edges = [low + width * index for index in range(bins)] + [high]
        return tuple(zip(edges, edges[1:], counts, strict=False))


def wilson(hits: int, n: int) -> Interval:
    """A share with its 95 % score interval (Wilson 1927, https://doi.org/10.2307/2276774).

    It stays inside 0 to 1 and has a width even where all or none are hits. Raises ValueError for
    n < 1 or hits outside 0 to n.
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"expected 0 <= hits <= n and n >= 1, got {hits} of {n}")
    share, square = hits / n, Z95 * Z95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    return Interval(share, middle - half if hits else 0.0, middle + half if hits < n else 1.0)


TRUE_COUNT_BINS: tuple[tuple[int, int | None], ...] = (
    (0, 0),
    (1, 1),
    (2, 2),
    (3, 5),
    (6, 10),
    (11, None),
)
"""True counts that are told together, first and last; None: no end."""


class BinErrors:
    """Errors of the images whose true count lies in one bin: sums that give their means."""

    __slots__ = ("absolute", "images", "signed")

    def __init__(self) -> None:
        self.images = 0
        self.absolute = 0
        self.signed = 0


class CountErrors:
    """Errors of per-image object counts for one sub-dataset: sums that give their means."""

    __slots__ = ("absolute", "bins", "exact", "images", "predicted", "squared", "truth")

    def __init__(self) -> None:
        self.images = 0
        self.truth = 0
        self.predicted = 0
        self.absolute = 0
        self.squared = 0
        self.exact = 0
        self.bins = tuple(BinErrors() for _ in TRUE_COUNT_BINS)

    def add(self, truth: int, predicted: int, images: int = 1) -> None:
        """Take the true and the predicted count of one image, or of several alike."""
        error = predicted - truth
        self.images += images
        self.truth += truth * images
        self.predicted += predicted * images
        self.absolute += abs(error) * images
        self.squared += error * error * images
        self.exact += images * (error == 0)
        place = self.bins[_bin_of(truth)]
        place.images += images
        place.absolute += abs(error) * images
        place.signed += error * images


def _bin_of(truth: int) -> int:
    return next(
        place for place, (_, last) in enumerate(TRUE_COUNT_BINS) if last is None or truth <= last
    )
