"""Telling a run how far a generated split is drawn."""

from __future__ import annotations

from runners.step import RunningStep


class Drawing:
    """Tells of a generated split while it is drawn: a phase of its own, begun once a split."""

    def __init__(self, step: RunningStep) -> None:
        self._step = step
        self._split: str | None = None

    def __call__(self, split: str, done: int, total: int) -> None:
        """One more image of the split."""
        if split != self._split:
            self._split = split
            self._step.phase(f"draw the {split} images", total)
        self._step.progress(done)
