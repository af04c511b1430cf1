"""The runs that are not over yet, in order: one empty file each, `<number>-<id>`.

The run folder is written first, its queue entry last, and the entry goes only when the run's
record is in the index: whatever dies in between, the run is found again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edgelab.durable import locked, replace_file, sync_folder
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.run_folder import RunFolder
from edgelab.spec import RunSpec

_DIGITS = 8
_ENTRY = re.compile(r"[0-9]{8}-[0-9a-f]{8}")


def next_number(home: Home) -> int:
    """The number of a new run: one more than any before it in this lab.

    Numbers, not clocks, put runs in order: many boards have no clock battery. Raises Problem where
    the count cannot be kept.
    """
    with locked(home.sequence.with_suffix(".lock")):
        number = 1 + _newest_number(home)
        replace_file(home.sequence, str(number).encode())
        return number


def _newest_number(home: Home) -> int:
    try:
        text = home.sequence.read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        text = ""
    if re.fullmatch(r"[0-9]{1,8}", text):
        return int(text)
    # Lost or damaged: count anew from the runs themselves.
    return max((spec.number for spec in _specs(home)), default=0)


def _specs(home: Home) -> Iterator[RunSpec]:
    for path in home.runs.glob("*/spec.json"):
        with suppress(Problem):
            yield RunFolder(path.parent).read_spec()


def enqueue(home: Home, number: int, run_id: str) -> None:
    """Put a run whose folder is complete at the end of the queue, durably."""
    home.queue.mkdir(parents=True, exist_ok=True)
    (home.queue / f"{number:0{_DIGITS}d}-{run_id}").touch()
    sync_folder(home.queue)


def dequeue(home: Home, run_id: str) -> None:
    """Take a run out; harmless when it is not there."""
    for entry in _entries(home):
        if entry.name.endswith(f"-{run_id}"):
            with suppress(FileNotFoundError):
                entry.unlink()


def queued(home: Home) -> list[RunFolder]:
    """Folders of the runs that are not over, first in line first."""
    return [RunFolder(home.runs / entry.name.partition("-")[2]) for entry in _entries(home)]


def _entries(home: Home) -> list[Path]:
    """The entries in order; what is none (somebody else's file) is passed over."""
    try:
        entries = sorted(home.queue.iterdir())
    except FileNotFoundError:
        return []
    return [entry for entry in entries if _ENTRY.fullmatch(entry.name) and entry.is_file()]
