"""What a training attained as a table: a row an asking or measuring of its test data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from edgelab import words
from edgelab.learned import interval_words
from edgelab.scored import FIGURES, ScoredRow
from screens.widgets.table import Column


def score_columns(rows: Sequence[ScoredRow]) -> tuple[Column[ScoredRow], ...]:
    """By whom, then the figures that any row has, best seen sorted, each with its interval."""
    figures = [name for name in FIGURES if any(name in row.figures for row in rows)]
    return (
        Column("by", lambda r: words.plain(r.scores.subject, 28), key=lambda r: r.scores.subject),
        Column("asked", lambda r: str(r.asked), key=lambda r: r.asked, right=True),
        *map(_figure, figures),
        Column("off-list", lambda r: words.whole(r.off_list), key=lambda r: r.off_list, right=True),
        Column("no answer", lambda r: str(r.scores.unanswered), key=lambda r: r.scores.unanswered,
               right=True),
    )  # fmt: skip


def score_identity(row: ScoredRow) -> str:
    """What a row is known by."""
    return row.scores.subject


def _figure(name: str) -> Column[ScoredRow]:
    return Column(
        name.removeprefix("macro_").replace("_", " "),
        lambda row: interval_words(row.figures.get(name)),
        key=partial(_value, name),
        right=True,
    )


def _value(name: str, row: ScoredRow) -> float | None:
    interval = row.figures.get(name)
    return None if interval is None else interval.value
