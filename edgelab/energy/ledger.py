"""The power records of a run as they come, ready to be asked for any window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgelab.energy.figures import EnergyFigures, figures_over
from edgelab.energy.integrate import PowerTrace
from edgelab.records import BaselineEnded, PowerReading, PowerSource


class PowerNow(NamedTuple):
    """The newest word of the source that counts. `age_s`: how old it is."""

    source: PowerSource
    watts: float | None
    age_s: float


class EnergyLedger:
    """Folds power records; the same for live view, replay and record.

    Sources count in the order in which the monitor announced them, an imported meter before all:
    somebody took the trouble.
    """

    def __init__(self) -> None:
        self._traces: dict[str, PowerTrace] = {}
        self._baselines: list[BaselineEnded] = []

    def add_source(self, record: PowerSource) -> None:
        """A source that readings may follow of; announced again, it begins anew."""
        self._traces[record.source] = PowerTrace(record)

    def add_reading(self, record: PowerReading) -> None:
        """A reading; one of a source that was never announced has no meaning and is left out."""
        trace = self._traces.get(record.source)
        if trace is not None:
            trace.add(record)

    def add_baseline(self, record: BaselineEnded) -> None:
        """The end of an idle time."""
        self._baselines.append(record)

    @property
    def traces(self) -> list[PowerTrace]:
        """All sources, the one that counts first."""
        return sorted(self._traces.values(), key=lambda trace: trace.source.method != "manual")

    def figures(self, start: float, end: float, items: int = 0) -> tuple[EnergyFigures, ...]:
        """What each source says of a window: `figures_over` with one window."""
        return self.figures_over([(start, end)], items)

    def figures_over(
        self, windows: Sequence[tuple[float, float]], items: int = 0
    ) -> tuple[EnergyFigures, ...]:
        """What each source says of `windows` (start, end): first the one that counts.

        A source that did not see enough of them gives way to one that did.
        """
        if not windows:
            return ()
        idle = self._baseline_before(windows[0][0])
        figures = [figures_over(trace, windows, items, idle) for trace in self.traces]
        return tuple(sorted(figures, key=lambda each: not each.covered))

    def now(self, t: float) -> PowerNow | None:
        """The power at `t`, which is now; None before any source was heard."""
        for trace in self.traces:
            if trace.last is not None:
                return PowerNow(trace.source, trace.watts, t - trace.last.t)
        return None

    def joules(self, start: float, end: float) -> float | None:
        """Joules so far, of the source that counts; None where it has seen nothing."""
        for trace in self.traces:
            whole = trace.over(start, end)
            if whole.seconds > 0:
                return whole.joules
        return None

    def points(self) -> list[tuple[float, float]]:
        """Time and watts over the whole run, of the source that counts: for a timeline."""
        return next((points for trace in self.traces if (points := trace.points())), [])

    def _baseline_before(self, start: float) -> tuple[float, float] | None:
        ended = [record for record in self._baselines if record.t <= start]
        return (ended[-1].since, ended[-1].t) if ended else None
