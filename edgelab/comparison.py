"""Two tables of results side by side: which rows belong together, ratios, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgelab.consistency import Finding, check
from edgelab.result_table import FACTS, FIGURES, Figure, Pairing, ResultTable, TableRow

NOT_STATED = "not stated"

Pairings = dict[tuple[str, str], Pairing]
"""By the models of the left and the right table."""


@dataclass(frozen=True)
class ComparedRow:
    """A configuration on both sides; None: that side has no such row."""

    left: TableRow | None
    right: TableRow | None

    def ratio(self, figure: str) -> float | None:
        """Left over right; None where one is unknown, or the right is 0."""
        if self.left is None or self.right is None:
            return None
        over, under = self.left.figures.get(figure), self.right.figures.get(figure)
        return over / under if over is not None and under else None


@dataclass(frozen=True)
class Difference:
    """A fact that is not known to be the same on both sides."""

    name: str
    left: str
    right: str

    @property
    def words(self) -> str:
        """One line for a person."""
        return f"{self.name}: {self.left} / {self.right}"


@dataclass(frozen=True)
class Comparison:
    """Rows of `left` beside those of `right`, what differs, and what cannot be right in either."""

    left: ResultTable
    right: ResultTable
    rows: tuple[ComparedRow, ...]
    pairings: tuple[Pairing, ...]
    differences: tuple[Difference, ...]
    left_findings: tuple[Finding, ...]
    right_findings: tuple[Finding, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that any row has, in the lab's order."""
        sides = [side for row in self.rows for side in (row.left, row.right) if side is not None]
        return tuple(f for f in FIGURES if any(f.name in side.figures for side in sides))

    def findings(self, row: ComparedRow) -> tuple[Finding, ...]:
        """The findings that name this configuration on either side."""
        sides = ((row.left, self.left_findings), (row.right, self.right_findings))
        return tuple(
            finding
            for side, findings in sides
            if side is not None
            for finding in findings
            if side.full_name in finding.rows
        )

    @property
    def shared(self) -> tuple[Figure, ...]:
        """The figures that have a ratio in any row."""
        return tuple(f for f in self.figures if any(row.ratio(f.name) for row in self.rows))

    @property
    def explanations(self) -> tuple[str, ...]:
        """What a reader must know before the ratios: stand-ins first, then facts that differ."""
        return (*(p.words for p in self.pairings), *(d.words for d in self.differences))


def compare(left: ResultTable, right: ResultTable) -> Comparison:
    """Lay two tables side by side.

    Rows belong together where model, precision, threshold and variant agree as far as both tell
    them. Models agree by name or by a pairing of either table; where each side has a single model,
    they are laid side by side whatever they are, and the pairing says so.
    """
    pairings = _pairings(left, right)
    rows = tuple(_compared(left, right, pairings))
    matched = [row for row in rows if row.left is not None and row.right is not None]
    used = {(row.left.model, row.right.model) for row in matched if row.left and row.right}
    return Comparison(
        left,
        right,
        rows,
        tuple(pairing for models, pairing in pairings.items() if models in used),
        tuple(_differences(matched or rows)),
        tuple(check(left)),
        tuple(check(right)),
    )


def _pairings(left: ResultTable, right: ResultTable) -> Pairings:
    found = {(each.published, each.own): each for each in left.pairings}
    found |= {(each.own, each.published): each for each in right.pairings}
    ours, theirs = _models(left), _models(right)
    if len(ours) == len(theirs) == 1 and ours != theirs:
        pair = (ours.pop(), theirs.pop())
        found.setdefault(pair, Pairing(*pair, same=False, difference="another model"))
    return found


def _models(table: ResultTable) -> set[str]:
    return {row.model for row in table.rows}


def _compared(left: ResultTable, right: ResultTable, pairings: Pairings) -> Iterator[ComparedRow]:
    taken: set[int] = set()
    for row in left.rows:
        partner = _partner(row, right.rows, pairings)
        if partner is not None:
            taken.add(id(partner))
        yield ComparedRow(row, partner)
    for row in right.rows:
        if id(row) not in taken:
            yield ComparedRow(None, row)


def _partner(row: TableRow, others: Iterable[TableRow], pairings: Pairings) -> TableRow | None:
    """The row that agrees in most; of equals the first."""
    rank = {row.model: 2}
    for (own, other), pairing in pairings.items():
        if own == row.model:
            rank.setdefault(other, pairing.same)
    fitting = [other for other in others if other.model in rank and _agree(row, other)]
    return max(
        fitting,
        key=lambda other: (rank[other.model], _facts_in_common(row, other)),
        default=None,
    )


def _agree(row: TableRow, other: TableRow) -> bool:
    return (
        _same(row.precision, other.precision)
        and _same(row.threshold, other.threshold)
        and all(row.meant(key) == other.meant(key) for key in row.variant.keys() & other.variant)
    )


def _same(one: object, other: object) -> bool:
    """A model without score thresholds is laid beside every threshold of one that has some."""
    return one is None or other is None or one == other


def _facts_in_common(row: TableRow, other: TableRow) -> int:
    return sum(other.facts.get(name) == value for name, value in row.facts.items())


def _differences(rows: Sequence[ComparedRow]) -> Iterator[Difference]:
    for name in FACTS:
        left = _told(rows, lambda row: row.left, name)
        right = _told(rows, lambda row: row.right, name)
        if left != right:
            yield Difference(name, left, right)


def _told(
    rows: Sequence[ComparedRow], side: Callable[[ComparedRow], TableRow | None], name: str
) -> str:
    """What one side says of a fact, all its rows together."""
    facts = [row.facts.get(name, NOT_STATED) for row in map(side, rows) if row is not None]
    return "; ".join(dict.fromkeys(facts)) or NOT_STATED
