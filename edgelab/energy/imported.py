"""The readings of an external meter, brought from a CSV file onto the clock of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from edgelab.durable import replace_file
from edgelab.energy.meter_file import Columns, MeterFile, MeterProblem
from edgelab.energy.sources import SourceFacts
from edgelab.journal import JournalReader
from edgelab.records import (
    JOURNAL_VERSION,
    Ended,
    Header,
    Life,
    PowerReading,
    PowerSource,
    Record,
    Scope,
    Started,
    TelemetryLine,
)
from edgelab.run_folder import RunFolder

_MARGIN_S = 10.0
_FINEST_S = 0.1
_CLOCK_JUMP_S = 1.0


class Imported(NamedTuple):
    """What was taken over. `warnings`: doubts about the alignment."""

    readings: int
    covered_s: float
    mean_watts: float
    warnings: tuple[str, ...]


def import_meter(
    folder: RunFolder,
    file: Path,
    *,
    name: str = "meter",
    scope: Scope = "board input",
    accuracy: float = 0.02,
    offset_s: float = 0.0,
    columns: Columns | None = None,
) -> Imported:
    """Write the meter's readings during the run into its `power.jsonl`, in place of an older one.

    The file has a header, a time (Unix seconds, ISO 8601 with a zone, or seconds since the run's
    start) and watts, or volts and amperes. `offset_s` is added to its times. Wall-clock times are
    placed by the pair of wall and monotonic time with which the run began. Readings closer than
    0.1 s are averaged. Raises MeterProblem.
    """
    run = _RunTimes.of(folder)
    if name in _sources_of(folder):
        raise MeterProblem(f"the run {folder.id} has a source called {name}: choose another name")
    rows = MeterFile.open(file, columns or Columns())
    placed = ((run.place(stamp, rows.since_start) + offset_s, watts) for stamp, watts in rows)
    taken = list(_thinned((t, watts) for t, watts in placed if run.contains(t)))
    if len(taken) < 2:
        raise MeterProblem(f"{file}: {_why_nothing(rows, run, offset_s)}")
    mean = math.fsum(watts for _, watts in taken) / len(taken)
    if mean < 0:
        raise MeterProblem(f"{file}: mean power {mean:.3g} W: the meter's leads are swapped")
    period = max(median(b[0] - a[0] for a, b in pairwise(taken)), _FINEST_S)
    facts = SourceFacts(name, "manual", scope, accuracy, period)
    records: list[Record] = [Header(folder.meter.stem, JOURNAL_VERSION)]
    records.append(facts.record(taken[0][0]))
    records += [PowerReading(t, name, watts) for t, watts in taken]
    encoder = msgspec.json.Encoder()
    replace_file(folder.meter, encoder.encode_lines(records))
    warnings = () if rows.since_start else run.warnings
    return Imported(len(taken), taken[-1][0] - taken[0][0], mean, warnings)


@dataclass(frozen=True)
class _RunTimes:
    """When the run was, by both clocks."""

    id: str
    started: Started
    ended: Ended | None

    @staticmethod
    def of(folder: RunFolder) -> _RunTimes:
        lives: JournalReader[Record] = JournalReader(folder.life, Life)
        records = lives.poll()
        started = next((record for record in records if isinstance(record, Started)), None)
        if started is None:
            raise MeterProblem(
                f"{folder.id}: the run has not started: there is no time to align to"
            )
        ended = next((record for record in records if isinstance(record, Ended)), None)
        return _RunTimes(folder.id, started, ended)

    def place(self, stamp: float, since_start: bool) -> float:
        """A time of the file on the run's monotonic clock."""
        return self.started.t + (stamp if since_start else stamp - self.started.wall)

    def contains(self, t: float) -> bool:
        end = self.ended.t if self.ended else math.inf
        return self.started.t - _MARGIN_S <= t <= end + _MARGIN_S

    @property
    def warnings(self) -> tuple[str, ...]:
        """A board without a clock battery may have set its clock during the run."""
        if self.ended is None:
            return ()
        jump = (self.ended.wall - self.started.wall) - (self.ended.t - self.started.t)
        if abs(jump) <= _CLOCK_JUMP_S:
            return ()
        return (f"the board's clock jumped by {jump:.1f} s during the run: check the offset",)


def _sources_of(folder: RunFolder) -> set[str]:
    journal: JournalReader[Record] = JournalReader(folder.telemetry, TelemetryLine)
    return {record.source for record in journal.poll() if isinstance(record, PowerSource)}


def _thinned(rows: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Means over stretches of less than 0.1 s; coarser rows as they are."""
    stretch: list[tuple[float, float]] = []
    for row in rows:
        if stretch and row[0] - stretch[0][0] >= _FINEST_S:
            yield _mean_of(stretch)
            stretch = []
        stretch.append(row)
    if stretch:
        yield _mean_of(stretch)


def _mean_of(rows: list[tuple[float, float]]) -> tuple[float, float]:
    # From the first row's time on: sums of large times would lose digits.
    start = rows[0][0]
    t = start + math.fsum(t - start for t, _ in rows) / len(rows)
    watts = math.fsum(watts for _, watts in rows) / len(rows)
    return round(t, 6), round(watts, 6)


def _why_nothing(rows: MeterFile, run: _RunTimes, offset_s: float) -> str:
    if math.isnan(rows.first):
        return "no rows under the header"
    since = run.place(rows.first, rows.since_start) + offset_s - run.started.t
    until = run.place(rows.last, rows.since_start) + offset_s - run.started.t
    length = "" if run.ended is None else f" to {run.ended.t - run.started.t:.0f} s"
    return (
        f"fewer than two rows fall into the run {run.id}: they lie at {since:.0f} to {until:.0f} s "
        f"of it, the run at 0{length}: give an offset"
    )
