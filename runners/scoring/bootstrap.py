"""Bootstrap over images: how far a figure would move, had others of their kind been drawn.

Percentile intervals: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgelab.records import Bounds

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
SEED = 0


def draws(images: int, resamples: int, seed: int = SEED, at_once: int = 100) -> Iterator[Floats]:
    """How often each image is drawn: blocks of (b, images), whose rows add up to `images`."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(0, images, (rows, images))
        drawn += np.arange(rows)[:, None] * images
        counts = np.bincount(drawn.ravel(), minlength=rows * images)
        yield counts.reshape(rows, images).astype(np.float64)


def bounds(resampled: Floats) -> list[Bounds | None]:
    """The middle 95 % of each column of (draws, figures); None where a draw never had a figure."""
    tail = 50 * (1 - CONFIDENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN only
        low, high = np.nanpercentile(resampled, [tail, 100 - tail], axis=0)
    pairs = zip(low.tolist(), high.tolist(), strict=True)
    return [None if first != first else Bounds(first, last) for first, last in pairs]
