"""What a power source is: facts that give its figures their meaning, and a reading on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from edgelab.records import Method, PowerSource, Scope

METHODS: tuple[Method, ...] = ("manual", "measured", "counter", "estimated")
"""From the most to the least trusted. A file that a person imported is what that person trusts."""

SCOPES: tuple[Scope, ...] = ("board input", "wall", "battery", "rails", "package")
"""From what says most about the board to what says least."""


class SourceError(Exception):
    """Why a source, or one reading of it, cannot be had; names no secret."""


class Reading(NamedTuple):
    """Watts now, joules since the source was opened, or both."""

    watts: float | None = None
    joules: float | None = None


@dataclass(frozen=True)
class SourceFacts:
    """What stands beside every figure of a source.

    `accuracy`: relative standard uncertainty of its watts. `slow`: it may keep its reader waiting,
    so that it is read in a thread of its own. `detail`: where it was found, for a person.
    """

    name: str
    method: Method
    scope: Scope
    accuracy: float
    period_s: float = 1.0
    slow: bool = False
    detail: str = ""

    def record(self, t: float) -> PowerSource:
        """The journal's line for this source."""
        return PowerSource(
            t=t,
            source=self.name,
            method=self.method,
            scope=self.scope,
            accuracy=self.accuracy,
            period_s=self.period_s,
        )


class Source(Protocol):
    """Something that knows the power of this board."""

    facts: SourceFacts

    def read(self) -> Reading:
        """One reading; raises SourceError with the reason where there is none."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class RunningTotal:
    """Joules since the first value of a counter that knows nothing of its start.

    A counter that falls was reset. What it had counted until then is lost, so that it is not
    trusted again: from there on there is no total.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._reset = False

    def at(self, joules: float | None) -> float | None:
        """The total when the counter shows `joules`; None without one."""
        if joules is None or self._reset:
            return None
        if self._first is None:
            self._first = joules
        elif joules < self._last:
            self._reset = True
            return None
        self._last = joules
        return joules - self._first
