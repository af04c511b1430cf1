"""What there is to read power from on this board, and one reading of each on request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgelab.boards import recognise
from edgelab.catalogue import Catalogue
from edgelab.energy.config import PowerSettings
from edgelab.energy.discovery import Discovered, Origin, discover
from edgelab.energy.estimate import PowerModel
from edgelab.energy.monitor import Feed
from edgelab.energy.sources import Source, SourceFacts
from edgelab.home import Home

_BETWEEN_READINGS_S = 0.5


class Look(NamedTuple):
    """One look at a source: watts, or the reason why there are none."""

    watts: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """A source, or what was looked for in vain.

    `rank`: 1 counts first; None: it is not read, and `reason` says why.
    """

    name: str
    origin: Origin | None
    rank: int | None = None
    facts: SourceFacts | None = None
    watts: float | None = None
    reason: str = ""


def survey(home: Home, settings: PowerSettings, root: Path = Path("/")) -> Discovered:
    """All power sources of this board; asks no device on the network."""
    return discover(root, settings, _power_model(home, root))


def entries(found: Discovered) -> list[Entry]:
    """The sources, the one that counts first, then what is absent; nothing is read yet."""
    read = [
        Entry(source.facts.name, found.origins[source.facts.name], rank, source.facts)
        for rank, source in enumerate(found.sources, start=1)
    ]
    return read + [Entry(each.what, each.origin, reason=each.reason) for each in found.absent]


def look_at(
    source: Source,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
) -> Look:
    """One look at the source, which is closed then. May take as long as the source's time-out.

    What tells power only over a stretch of time, as a counter does, is read twice.
    """
    feed = Feed(source, clock)
    try:
        first = feed.read()
        if first is not None and first.watts is not None:
            return Look(first.watts)
        if first is None and source.facts.slow:
            return Look(reason=feed.state.reason)
        wait(_BETWEEN_READINGS_S)
        second = feed.read()
    finally:
        source.close()
    if second is None:
        return Look(reason=feed.state.reason)
    if second.watts is not None:
        return Look(second.watts)
    if first is None or first.joules is None or second.joules is None or second.t <= first.t:
        return Look(reason="its counter began just now: look again")
    return Look((second.joules - first.joules) / (second.t - first.t))


def _power_model(home: Home, root: Path) -> PowerModel | None:
    board = recognise(Catalogue(home).boards(), root)
    return board.profile.power if board is not None and board.profile is not None else None
