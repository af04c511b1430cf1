"""Reading all power sources of a run, each in its own way, none at the cost of another."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgelab.energy.sources import Reading, Source, SourceError
from edgelab.records import PowerReading, PowerSource

_LONGEST_QUEUE = 600
"""Readings that wait for a supervisor that is held up; the oldest give way."""


@dataclass
class SourceState:
    """How a source is doing. `reason`: why the last missed reading was missed."""

    name: str
    readings: int = 0
    missed: int = 0
    reason: str = ""


class Feed:
    """One source, read once on request; what goes wrong is counted and told, never raised."""

    def __init__(self, source: Source, clock: Callable[[], float]) -> None:
        self.source = source
        self.state = SourceState(source.facts.name)
        self.asked = -math.inf  # when the newest reading was begun
        self._clock = clock

    def read(self) -> PowerReading | None:
        """The reading with the time in the middle of its taking, or None."""
        before = self.asked = self._clock()
        try:
            reading = _sane(self.source.read())
        except SourceError as error:
            self._miss(str(error))
            return None
        except Exception as error:  # a fault in one source must not end a run
            self._miss(f"unexpected {type(error).__name__}")
            return None
        t = (before + self._clock()) / 2
        self.state.readings += 1
        return PowerReading(t, self.source.facts.name, reading.watts, reading.joules)

    def _miss(self, reason: str) -> None:
        self.state.missed += 1
        self.state.reason = reason


class _Reader(Protocol):
    """Gives readings as they become due. `heard`: when the newest that can be taken was begun."""

    feed: Feed
    heard: float

    def take(self) -> list[PowerReading]: ...

    def close(self) -> None: ...


class Direct:
    """A source that answers at once: read when the supervisor asks."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.heard = -math.inf

    def take(self) -> list[PowerReading]:
        """The reading of this moment, if there is one."""
        reading = self.feed.read()
        self.heard = self.feed.asked
        return [] if reading is None else [reading]

    def close(self) -> None:
        """Let go of the source."""
        self.feed.source.close()


class Poller:
    """A source that may hang: read in a thread of its own, which ends with the process.

    `wait` sleeps for so many seconds and says True when it is time to end.
    """

    def __init__(
        self,
        feed: Feed,
        clock: Callable[[], float],
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.feed = feed
        self.heard = -math.inf
        self._clock = clock
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._queue: deque[PowerReading] = deque(maxlen=_LONGEST_QUEUE)
        name = f"power {feed.source.facts.name}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def take(self) -> list[PowerReading]:
        """What came in since the last call; never waits."""
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def close(self) -> None:
        """Tell the thread to end; a hanging reading is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        period = self.feed.source.facts.period_s
        due = self._clock()
        while not self._wait(max(0.0, due - self._clock())):
            reading = self.feed.read()
            if reading is not None:
                self._queue.append(reading)
            self.heard = self.feed.asked
            # The next tick of the grid that lies ahead: a late reading is not made up for.
            due += period * (1 + max(0.0, self._clock() - due) // period)
        self.feed.source.close()


class PowerMonitor:
    """All power sources of a run, the most telling first.

    `announce` once, `tick` once a sample, `close` at the end. Nothing here raises or waits.
    """

    def __init__(
        self, sources: Sequence[Source], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._opened = clock()
        self._readers: list[_Reader] = []
        for source in sources:
            feed = Feed(source, clock)
            self._readers.append(Poller(feed, clock) if source.facts.slow else Direct(feed))

    def announce(self) -> list[PowerSource]:
        """The lines that must stand in the journal before the first reading."""
        return [reader.feed.source.facts.record(self._opened) for reader in self._readers]

    def tick(self) -> list[PowerReading]:
        """Read what answers at once, and collect what the threads have read."""
        return [reading for reader in self._readers for reading in reader.take()]

    def heard_since(self, t: float) -> bool:
        """True when each source has been asked after `t` and has answered or failed.

        The next `tick` then has all there is to know of the time until `t`.
        """
        return all(reader.heard >= t for reader in self._readers)

    @property
    def states(self) -> list[SourceState]:
        """How each source is doing."""
        return [reader.feed.state for reader in self._readers]

    def close(self) -> None:
        """End all threads without waiting for them."""
        for reader in self._readers:
            reader.close()


def _sane(reading: Reading) -> Reading:
    """The reading, rounded to µW and µJ; raises SourceError for what no meter can show."""
    watts, joules = reading
    for value in (watts, joules):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise SourceError(f"it shows {value:g}, which is no power that a board can take")
    if watts is None and joules is None:
        raise SourceError("it shows neither watts nor joules")
    return Reading(*(None if value is None else round(value, 6) for value in (watts, joules)))
