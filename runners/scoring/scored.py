"""An image as it is scored: what is on it, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runners.datasets.dataset import Box

Found = tuple[float, float, float, float, float, int]
"""x1, y1, x2, y2, px, score, counted class."""


@dataclass(frozen=True)
class ScoredImage:
    """`evaluated`: the classes that it counts for, None: all."""

    boxes: Sequence[Box]
    found: Sequence[Found]
    evaluated: tuple[int, ...] | None = None
