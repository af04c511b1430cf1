"""Columns of the tables that show runs and results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edgelab import words
from edgelab.record import RunRecord
from edgelab.results import SHOWN, ResultRow, rows_of
from edgelab.results import Column as ResultColumn
from edgelab.settings.base import TaskSettings
from screens.ink import Tone
from screens.widgets.projection_pane import outcome_tone
from screens.widgets.table import Column

R = TypeVar("R")

_FIRST = ("model", "precision", "outcome", "threshold")


def result_columns() -> tuple[Column[ResultRow], ...]:
    """The shown columns of `edgelab.results`, behind the run's number; the outcome comes early.

    Whatever else a small terminal hides to the right, how a pass ended is always in view.
    """
    number: Column[ResultRow] = Column(
        "#", lambda row: str(row.run.spec.number), key=lambda row: row.run.spec.number, right=True
    )
    first = [next(c for c in SHOWN if c.name == name) for name in _FIRST]
    rest = [column for column in SHOWN if column not in first]
    return (number, *(_result_column(column) for column in (*first, *rest)))


def result_identity(row: ResultRow) -> tuple[str, str, float | None]:
    """What a result row is known by."""
    threshold = row.counts.threshold if row.counts else None
    return (row.run.spec.id, row.summary.precision.value, threshold)


def shown_column(
    column: ResultColumn[R], tone: Callable[[R], Tone] | None = None, sparse: bool = True
) -> Column[R]:
    """A column of `edgelab.results` or of its kind, as a table shows it."""
    return Column(
        column.title or column.name,
        column.text,
        key=column.value,
        right=column.show is not None,
        tone=tone,
        sparse=sparse,
    )


def _result_column(column: ResultColumn[ResultRow]) -> Column[ResultRow]:
    sparse = column.name not in _FIRST
    if column.name != "outcome":
        return shown_column(column, sparse=sparse)
    return shown_column(column, lambda row: outcome_tone(row.summary.outcome), sparse)


def best_p50(record: RunRecord) -> float | None:
    """The least p50 of the run's passes, ms."""
    known = [s.latency.p50_ms for s in record.passes if s.latency and s.latency.p50_ms is not None]
    return min(known, default=None)


def best_error(record: RunRecord) -> float | None:
    """The least mean MAE of the run's rows."""
    known = [c.mae_mean for _, _, c in rows_of(record) if c and c.mae_mean is not None]
    return min(known, default=None)


def _precisions(record: RunRecord) -> str:
    return " ".join(precision.value for precision in record.spec.settings.formats)


def _when(record: RunRecord) -> str:
    return words.moment(record.started or record.spec.created)


def _settings(record: RunRecord) -> TaskSettings:
    return record.spec.settings


RUN_COLUMNS: tuple[Column[RunRecord], ...] = (
    Column("#", lambda r: str(r.spec.number), key=lambda r: r.spec.number, right=True),
    Column("started", _when, key=lambda r: r.started or r.spec.created),
    Column(
        "model", lambda r: words.plain(_settings(r).model, 28), key=lambda r: _settings(r).model
    ),
    Column(
        "dataset",
        lambda r: words.plain(_settings(r).dataset, 18),
        key=lambda r: _settings(r).dataset,
    ),
    Column(
        "outcome",
        lambda r: r.outcome.value,
        key=lambda r: r.outcome.value,
        tone=lambda r: outcome_tone(r.outcome),
    ),
    Column("board", lambda r: r.spec.origin or "", key=lambda r: r.spec.origin, sparse=True),
    Column("task", lambda r: _settings(r).task, key=lambda r: _settings(r).task),
    Column("precisions", _precisions, key=_precisions),
    Column(
        "images",
        lambda r: words.whole(r.dataset.images if r.dataset else None),
        key=lambda r: r.dataset.images if r.dataset else None,
        right=True,
    ),
    Column("took", lambda r: words.duration(r.duration_s), key=lambda r: r.duration_s, right=True),
    Column("best p50", lambda r: words.milliseconds(best_p50(r)), key=best_p50, right=True),
    Column("best MAE", lambda r: words.number(best_error(r)), key=best_error, right=True),
    Column("conditions", lambda r: r.conditions.verdict, key=lambda r: r.conditions.verdict),
    Column("id", lambda r: r.spec.id, key=lambda r: r.spec.id),
)
