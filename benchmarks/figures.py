"""What a benchmark says: spreads of repeated measurements, budgets, tables, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NOISY = 0.25
"""A figure whose extremes lie further apart than this share of its median is called noisy."""


@dataclass(frozen=True)
class Spread:
    """One quantity, measured several times. Extremes are kept: they tell how much to trust it."""

    values: tuple[float, ...]

    @staticmethod
    def of(values: Iterable[float]) -> Spread:
        """Of any iterable; raises ValueError where it is empty."""
        kept = tuple(values)
        if not kept:
            raise ValueError("nothing was measured")
        return Spread(kept)

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def noisy(self) -> bool:
        """True where the extremes are far apart."""
        return max(self.values) - min(self.values) > NOISY * abs(self.median)

    def __format__(self, spec: str) -> str:
        """The median with `spec`, and the extremes where there are several values."""
        middle = format(self.median, spec)
        if len(self.values) < 2:
            return middle
        return f"{middle} ({min(self.values):{spec}}–{max(self.values):{spec}})"

    def over(self, other: Spread) -> Spread:
        """The ratio of each value to the one that was measured beside it."""
        return Spread.of(a / b for a, b in zip(self.values, other.values, strict=True))


@dataclass(frozen=True)
class Budget:
    """A bound of the design and what was measured; the median decides. `spec` formats it."""

    what: str
    bound: float
    measured: Spread
    unit: str
    spec: str = ".2f"

    @property
    def met(self) -> bool:
        """True where the median is within the bound."""
        return self.measured.median <= self.bound

    @property
    def verdict(self) -> str:
        """Within or over; noisy where the bound lies between the extremes."""
        word = "within" if self.met else "**over**"
        straddles = min(self.measured.values) <= self.bound < max(self.measured.values)
        return f"{word}, noisy" if straddles else word


@dataclass(frozen=True)
class Table:
    """Rows of text under titles; `note` stands above."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """Left-aligned first column, the others right."""
        rule = "|---|" + "---:|" * (len(self.titles) - 1)
        lines = [_row(self.titles), rule, *(_row(row) for row in self.rows)]
        note = f"{self.note}\n\n" if self.note else ""
        return note + "\n".join(lines)


@dataclass
class Section:
    """What one benchmark found."""

    title: str
    method: str
    tables: list[Table] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)

    def markdown(self) -> str:
        """Title, method and tables; the budgets stand together elsewhere."""
        return "\n\n".join(
            [f"## {self.title}", self.method, *(table.markdown() for table in self.tables)]
        )


def budget_table(budgets: Sequence[Budget]) -> Table:
    """All budgets with what was measured."""
    return Table(
        ("budget", "bound", "measured", ""),
        tuple(
            (
                budget.what,
                f"{budget.bound:g} {budget.unit}",
                f"{budget.measured:{budget.spec}} {budget.unit}",
                budget.verdict,
            )
            for budget in budgets
        ),
    )


def with_noise(spread: Spread, spec: str) -> str:
    """The spread as a cell; a noisy one says so."""
    return f"{spread:{spec}}{' ~' if spread.noisy else ''}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
