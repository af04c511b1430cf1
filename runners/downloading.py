"""A download as a phase of a step, with its progress in MB."""

from __future__ import annotations

from runners.step import RunningStep

_MB = 1_000_000


class Downloading:
    """Told of bytes; the phase begins with the first of them, none where all is on the board."""

    def __init__(self, step: RunningStep) -> None:
        self._step = step
        self._total = 0

    def __call__(self, done: int, total: int) -> None:
        """So many bytes of how many are there; raises Stopped where the run is to stop."""
        if total != self._total:
            self._total = total
            self._step.phase("download the model", -(-total // _MB), "MB")
        self._step.progress(-(-done // _MB))
