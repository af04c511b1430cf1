"""What a step is doing this moment, for whoever must say where it died.

A journal's line a stage would cost more than some stages take: this is one small file, mapped into
memory, so that a stage costs a copy of some bytes, and kill -9 loses none of them.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

_SIZE = 128


class StageMark:
    """The mark of one step; the file is made at the first stage."""

    def __init__(self, path: Path, step: str) -> None:
        self._path = path
        self._step = step
        self._map: mmap.mmap | None = None

    def __call__(self, stage: str) -> None:
        """The step is in `stage` now. Raises OSError where the file cannot be made."""
        if self._map is None:
            self._path.write_bytes(bytes(_SIZE))
            with self._path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), _SIZE)
        text = f"{self._step}\n{stage}\n".encode()[:_SIZE]
        self._map[:] = text.ljust(_SIZE, b"\0")


def read_stage(path: Path, step: str) -> str:
    """The stage that `step` was in when it last said so; empty where it said none."""
    with suppress(OSError, ValueError):
        of, stage, _ = path.read_bytes().decode().split("\n", 2)
        return stage if of == step else ""
    return ""
