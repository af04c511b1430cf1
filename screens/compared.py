"""Columns of the tables of the Compare screen."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from edgelab import words
from edgelab.comparison import ComparedRow, Comparison
from edgelab.comparison_report import LEFT, RIGHT, ComparedColumn, columns
from edgelab.consistency import Finding, Severity
from screens.ink import Tone
from screens.widgets.table import Column

_LONGEST = 500
_TONES: dict[Severity, Tone] = {Severity.CANNOT: "bad", Severity.EXPLAIN: "warn"}


class FindingRow(NamedTuple):
    """A finding, and in which side it is; `number` keeps the order of the check."""

    number: int
    side: str
    finding: Finding


class DifferenceRow(NamedTuple):
    """One thing to know before the ratios."""

    what: str
    text: str


def row_columns(comparison: Comparison) -> tuple[Column[ComparedRow], ...]:
    """The columns of the report, what decides first: figures with a ratio, then the others."""
    decisive = [figure for figure in comparison.shared if figure.compared]
    rest = [figure for figure in comparison.figures if figure not in decisive]
    return tuple(map(_screen_column, columns(comparison, (*decisive, *rest))))


def _screen_column(column: ComparedColumn) -> Column[ComparedRow]:
    is_findings = column.name == "findings"
    return Column(
        "!" if is_findings else column.title,
        column.text,
        key=column.value,
        right=column.show is not None or is_findings,
        tone=(lambda _: "warn") if is_findings else None,
    )


def row_identity(row: ComparedRow) -> Hashable:
    """What a compared row is known by."""
    return (row.left and row.left.full_name, row.right and row.right.full_name)


def finding_rows(comparison: Comparison) -> list[FindingRow]:
    """The findings of both sides, the impossible ones first."""
    both = [(LEFT, finding) for finding in comparison.left_findings]
    both += [(RIGHT, finding) for finding in comparison.right_findings]
    both.sort(key=lambda pair: pair[1].severity is not Severity.CANNOT)
    return [FindingRow(number, *pair) for number, pair in enumerate(both)]


def difference_rows(comparison: Comparison) -> list[DifferenceRow]:
    """What is laid beside what, then the facts that differ or are not stated."""
    pairings = [DifferenceRow("model", pairing.words) for pairing in comparison.pairings]
    facts = [DifferenceRow(d.name, f"{d.left} / {d.right}") for d in comparison.differences]
    return pairings + facts


FINDING_COLUMNS: tuple[Column[FindingRow], ...] = (
    Column("side", lambda row: row.side, lambda row: row.side),
    Column(
        "it",
        lambda row: row.finding.severity.value,
        lambda row: row.finding.severity.value,
        tone=lambda row: _TONES[row.finding.severity],
    ),
    Column("rule", lambda row: row.finding.rule, lambda row: row.finding.rule),
    Column("why", lambda row: words.plain(row.finding.sentence, _LONGEST), flex=True),
)

DIFFERENCE_COLUMNS: tuple[Column[DifferenceRow], ...] = (
    Column("what", lambda row: row.what, lambda row: row.what, tone=lambda _: "label"),
    Column(f"{LEFT} / {RIGHT}", lambda row: words.plain(row.text, _LONGEST), flex=True),
)
