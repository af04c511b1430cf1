"""One reader of a run's journals, driven live or by the clock of a replay."""

from __future__ import annotations

import heapq
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from edgelab.journal import JournalReader
from edgelab.projection import RunProjection
from edgelab.records import Event, ItemLine, Life, Record, TelemetryLine
from edgelab.run_folder import RunFolder
from edgelab.spec import RunSpec


class RunReader:
    """All journals of a run as one stream, in the order of time."""

    def __init__(self, folder: RunFolder) -> None:
        # Read in the reverse order of cause: whatever led to a record that was read is on disk
        # by the time its own journal is read.
        kinds: list[tuple[Any, Any]] = [
            (folder.meter, TelemetryLine),
            (folder.telemetry, TelemetryLine),
            (folder.items, ItemLine),
            (folder.events, Event),
            (folder.life, Life),
        ]
        self._journals: list[JournalReader[Record]] = [JournalReader(p, kind) for p, kind in kinds]

    def poll(self) -> list[Record]:
        """The records that were completed since the last call."""
        return sorted(self.stream(), key=_time_of)

    def stream(self) -> Iterator[Record]:
        """The same one by one: a long run is never in memory as a whole. Read it to its end.

        In the order of time but for power readings, which a slow source may deliver late.
        """
        # The sizes are taken in the order above, before anything is read.
        ends = [journal.size() for journal in self._journals]
        parts = [journal.follow(end) for journal, end in zip(self._journals, ends, strict=True)]
        # Of equal times, the cause comes first.
        return heapq.merge(*reversed(parts), key=_time_of)

    @property
    def damaged(self) -> int:
        """Lines that could not be read so far."""
        return sum(journal.damaged for journal in self._journals)


class RunSource(Protocol):
    """What the panels draw from: a projection that moves when `advance` is called."""

    projection: RunProjection

    def advance(self) -> bool:
        """Take in what is due by the clock; True when anything changed."""
        ...


class LiveRun:
    """A run as it happens; on a run that is over it shows the end at once."""

    def __init__(self, folder: RunFolder, spec: RunSpec | None = None) -> None:
        self.folder = folder
        self.projection = RunProjection(spec or folder.read_spec())
        self._reader = RunReader(folder)

    def advance(self) -> bool:
        """Take in all that was written since the last call."""
        changed = False
        for record in self._reader.stream():
            self.projection.apply(record)
            changed = True
        self.projection.damaged_lines = self._reader.damaged
        return changed


class Replay:
    """A run played back: the same records to the same projection, by a clock that obeys the viewer.

    `position` runs from 0 to `length`, in seconds of the run. `monotonic` is replaceable in tests.
    """

    def __init__(
        self,
        folder: RunFolder,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.spec = folder.read_spec()
        reader = RunReader(folder)
        self.records = reader.poll()
        self.damaged = reader.damaged
        self._times = [_time_of(record) for record in self.records]
        self._start = self._times[0] if self._times else 0.0
        self.length = self._times[-1] - self._start if self._times else 0.0
        self.playing = False
        self._speed = speed
        self._monotonic = monotonic
        self._position = 0.0
        self._since = monotonic()
        self._applied = 0
        self.projection = RunProjection(self.spec)

    @property
    def position(self) -> float:
        """Seconds of the run that have been played."""
        if not self.playing:
            return self._position
        played = (self._monotonic() - self._since) * self._speed
        return min(self.length, self._position + played)

    @property
    def speed(self) -> float:
        """How many seconds of the run pass in one of ours."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._hold(self.position)
        self._speed = speed

    def play(self) -> None:
        """Go on; from the beginning when the end was reached."""
        if self.position >= self.length:
            self.seek(0.0)
        self._hold(self._position)
        self.playing = True

    def pause(self) -> None:
        """Stand still."""
        self._hold(self.position)
        self.playing = False

    def seek(self, position: float) -> None:
        """Jump to `position`, forwards or back; `advance` then shows it."""
        self._hold(min(self.length, max(0.0, position)))

    def advance(self) -> bool:
        """Show the run as it was at `position`; at the end, pause."""
        position = self.position
        due = bisect_right(self._times, self._start + position)
        if position >= self.length:
            due = len(self.records)
            self.pause()
        changed = due != self._applied
        if due < self._applied:
            self.projection = RunProjection(self.spec)
            self._applied = 0
        for record in self.records[self._applied : due]:
            self.projection.apply(record)
        self._applied = due
        self.projection.damaged_lines = self.damaged
        return changed

    def _hold(self, position: float) -> None:
        self._position = position
        self._since = self._monotonic()


def _time_of(record: Record) -> float:
    return float(getattr(record, "t", 0.0))
