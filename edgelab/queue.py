"""The runs that are not over yet, in order: one empty file each, `<number>-<id>`.

The run folder is written first, its queue entry last, and the entry goes only when the run's
record is in the index: whatever dies in between, the run is found again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edgelab.durable import locked, replace_file, sync_folder
from edgelab.home import Home
from edgelab.run_folder import RunFolder

_DIGITS = 8


def next_number(home: Home) -> int:
    """The number of a new run: one more than any before it in this lab.

    Numbers, not clocks, put runs in order: many boards have no clock battery.
    """
    with locked(home.sequence.with_suffix(".lock")):
        try:
            number = int(home.sequence.read_text()) + 1
        except (FileNotFoundError, ValueError):
            number = 1 + max((number for number, _ in _numbered(home)), default=0)
        replace_file(home.sequence, str(number).encode())
        return number


def enqueue(home: Home, number: int, run_id: str) -> None:
    """Put a run whose folder is complete at the end of the queue, durably."""
    home.queue.mkdir(parents=True, exist_ok=True)
    (home.queue / f"{number:0{_DIGITS}d}-{run_id}").touch()
    sync_folder(home.queue)


def dequeue(home: Home, run_id: str) -> None:
    """Take a run out; harmless when it is not there."""
    for _, entry in _numbered(home):
        if entry.name.endswith(f"-{run_id}"):
            with suppress(FileNotFoundError):
                entry.unlink()


def queued(home: Home) -> list[RunFolder]:
    """Folders of the runs that are not over, first in line first."""
    return [
        RunFolder(home.runs / entry.name.partition("-")[2]) for _, entry in sorted(_numbered(home))
    ]


def _numbered(home: Home) -> list[tuple[int, Path]]:
    try:
        entries = list(home.queue.iterdir())
    except FileNotFoundError:
        return []
    return [
        (int(entry.name.partition("-")[0]), entry)
        for entry in entries
        if entry.name.partition("-")[0].isdigit()
    ]
