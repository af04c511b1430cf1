"""What a process uses; and what this one does, without psutil, which a console has no use for."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """`cpu`: % of one core since the last reading; memory in bytes; faults since it started."""

    cpu: float | None = None
    memory: int | None = None
    major_faults: int | None = None


class OwnProcess:
    """This process alone: a supervisor's children are what it watches, not what it costs."""

    def __init__(self) -> None:
        self._before = (time.monotonic(), time.process_time())

    def read(self) -> Usage:
        """What it used since the last reading; its children left out."""
        (wall, used), self._before = self._before, (time.monotonic(), time.process_time())
        elapsed = self._before[0] - wall
        cpu = round(100 * (self._before[1] - used) / elapsed, 2) if elapsed > 0 else None
        return Usage(cpu, _resident_bytes())


def _resident_bytes() -> int | None:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None
