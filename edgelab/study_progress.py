"""How far a study is, and how long it will take: from what its own runs measured so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from edgelab.record import PassSummary, RunRecord
from edgelab.records import Outcome
from edgelab.settings.common import Precision
from edgelab.spec import Settings
from edgelab.study import Study, StudyRun


@dataclass(frozen=True)
class Cell:
    """One measuring pass of a study, all its thresholds with it; None: it was never begun."""

    run: StudyRun
    precision: Precision | None
    record: RunRecord | None
    summary: PassSummary | None

    @property
    def outcome(self) -> Outcome:
        """How the pass stands; what waits behind the run's own end is told as not run."""
        if self.summary is not None:
            return self.summary.outcome
        return self.record.outcome if self.record is not None else Outcome.NOT_RUN

    @property
    def settings(self) -> Settings:
        """Of its run."""
        return self.run.settings

    @property
    def items_done(self) -> int:
        """Items that were tried, all repetitions."""
        if self.summary is None or self.summary.latency is None:
            return 0
        return self.summary.latency.samples + self.summary.errors

    def items_in_all(self, items: int | None) -> int | None:
        """Items to try, all repetitions, once the size of the data is known."""
        facts = self.record.dataset if self.record is not None else None
        known = facts.items if facts is not None else items
        return None if known is None else known * self.settings.items_per_image

    @property
    def done_share(self) -> float | None:
        """Of its images, or of its training's steps; None while neither is known."""
        training = self.record.training if self.record is not None else None
        if self.precision is None and training is not None:
            planned = training.started.epochs * training.started.steps_per_epoch
            return training.steps / planned if planned else None
        total = self.items_in_all(None)
        return self.items_done / total if self.precision is not None and total else None

    @property
    def duration_s(self) -> float:
        """What its run took so far."""
        return (self.record.duration_s if self.record is not None else None) or 0.0

    @property
    def seconds_per_item(self) -> float | None:
        """Of the measured window."""
        if self.summary is None or not self.summary.elapsed_s or not self.items_done:
            return None
        return self.summary.elapsed_s / self.items_done


@dataclass(frozen=True)
class StudyProgress:
    """A study and the state of each of its passes, in order."""

    study: Study
    cells: tuple[Cell, ...]

    @staticmethod
    def of(study: Study, records: Mapping[str, RunRecord]) -> StudyProgress:
        """Lay the records that are known into the matrix."""
        cells = (cell for each in study.runs for cell in _cells(each, records.get(each.run)))
        return StudyProgress(study, tuple(cells))

    @property
    def over(self) -> bool:
        """True once no pass waits or runs."""
        return all(cell.outcome.over for cell in self.cells)

    @property
    def done(self) -> int:
        """Configurations whose pass is over with a result."""
        return sum(
            len(cell.settings.cuts) for cell in self.cells if cell.outcome is Outcome.FINISHED
        )

    @property
    def time_left_s(self) -> float | None:
        """Seconds of measuring left; None until something of it was measured.

        A pass that was not measured yet takes as long an image as those of its model did, else as
        those of all models; a run without passes takes as long as such runs did.
        """
        left = 0.0
        for cell in self.cells:
            if cell.outcome.over:
                continue
            seconds = self._left_of_run(cell) if cell.precision is None else self._left_of(cell)
            if seconds is None:
                return None
            left += seconds
        return left

    def _left_of(self, cell: Cell) -> float | None:
        pace, total = self._pace(cell), cell.items_in_all(self._items)
        return None if pace is None or total is None else pace * max(0, total - cell.items_done)

    def _left_of_run(self, cell: Cell) -> float | None:
        taken = self._mean_duration(cell.settings.model) or self._mean_duration(None)
        return None if taken is None else max(0.0, taken - cell.duration_s)

    def _mean_duration(self, model: str | None) -> float | None:
        """Of the finished runs of this model, of any where it is None."""
        known = [
            cell.duration_s
            for cell in self.cells
            if cell.outcome is Outcome.FINISHED and model in (None, cell.settings.model)
        ]
        return fmean(known) if known else None

    @property
    def _items(self) -> int | None:
        found = [c.record.dataset.items for c in self.cells if c.record and c.record.dataset]
        return max(found, default=None)

    def _pace(self, cell: Cell) -> float | None:
        alike = [each for each in self.cells if each.settings.model == cell.settings.model]
        return cell.seconds_per_item or _mean(alike) or _mean(self.cells)


def _cells(each: StudyRun, record: RunRecord | None) -> Iterator[Cell]:
    if not each.settings.passes:
        yield Cell(each, None, record, None)
    summaries = {s.precision: s for s in record.passes} if record is not None else {}
    for precision in each.settings.passes:
        yield Cell(each, precision, record, summaries.get(precision))


def _mean(cells: Iterable[Cell]) -> float | None:
    known = [pace for cell in cells if (pace := cell.seconds_per_item) is not None]
    return fmean(known) if known else None
