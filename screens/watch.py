"""What a console knows of its lab: which runs are on, which are over, and whether that changed."""

from __future__ import annotations

import os
from dataclasses import dataclass

import msgspec

from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.projection import RunProjection
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.run_folder import RunFolder

_Stamp = tuple[tuple[int, int], int, bool]
_OUT_OF_REACH: _Stamp = ((-1, -1), -1, False)


@dataclass(frozen=True)
class Snapshot:
    """The lab at one moment. `over`: newest first; `active`: first in line first.

    `problem`: why it could not be read; the runs are those of the moment before.
    """

    over: tuple[RunRecord, ...] = ()
    active: tuple[RunRecord, ...] = ()
    problem: str = ""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All runs, newest first."""
        return (*reversed(self.active), *self.over)

    @property
    def current(self) -> RunRecord | None:
        """The run that is on, or next in line."""
        return self.active[0] if self.active else None

    @property
    def state(self) -> str:
        """What the lab does, in one phrase."""
        if self.problem:
            return "the lab cannot be read"
        current = self.current
        if current is None:
            return "no run on" if self.over else "no run yet: b runs the quick benchmark"
        waiting = len(self.active) - 1
        tail = f" · {waiting} waiting" if waiting else ""
        return f"run #{current.spec.number} {current.outcome.value}{tail}"


class Watch:
    """Notices what any console or command line did to the lab, at the price of three stats."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._seen: _Stamp | None = None
        self._head: RunFolder | None = None
        self._over: tuple[RunRecord, ...] = ()
        self._over_stamp: tuple[int, int] | None = None

    def moved(self) -> bool:
        """True when queue, index or the first run in line changed; also at the first call.

        And when the lab cannot be looked at any more: reading it then tells why.
        """
        try:
            now = self._stamp()
        except OSError:
            now = _OUT_OF_REACH
        moved, self._seen = now != self._seen, now
        return moved

    def _stamp(self) -> _Stamp:
        begun = self._head is not None and self._head.begun
        return self._lab.store.stamp(), _modified(str(self._lab.home.queue)), begun

    def read(self) -> Snapshot:
        """Read the lab. Takes a while with many runs: call it from a worker.

        Raises Problem or OSError where it cannot be read; the next look tries again.
        """
        try:
            return self._read()
        except (Problem, OSError):
            self._seen = None
            raise

    def _read(self) -> Snapshot:
        over = self._all_over()
        known = {record.spec.id for record in over}
        folders = [folder for folder in self._lab.active() if folder.id not in known]
        active = [_so_far(folder) for folder in folders]
        self._head = folders[0] if folders else None
        return Snapshot(over, tuple(record for record in active if record is not None))

    def _all_over(self) -> tuple[RunRecord, ...]:
        """The runs that are over: read again only when the index changed, not the queue.

        A second set of all records beside the first is what a console of many runs cannot afford.
        """
        stamp = self._lab.store.stamp()
        if stamp != self._over_stamp:
            self._over = tuple(self._lab.store.all())
            self._over_stamp = stamp
        return self._over


def _so_far(folder: RunFolder) -> RunRecord | None:
    """A run that is not over, from its spec alone: its journals are the live panels' business."""
    try:
        record = RunProjection(folder.read_spec()).record()
    except Problem:
        return None
    outcome = Outcome.RUNNING if folder.begun else Outcome.QUEUED
    return msgspec.structs.replace(record, outcome=outcome)


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - called once a second
    except FileNotFoundError:
        return 0
