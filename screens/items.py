"""The images of a run as rows, worst first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgelab import words
from edgelab.records import AskedItem, Item
from edgelab.tally import count_error
from screens.widgets.table import Column


class ItemRow(NamedTuple):
    """An image of a pass: found objects and count error at the threshold that is shown."""

    item: Item
    found: int | None
    error: int | None

    @property
    def true(self) -> int | None:
        """Annotated objects."""
        return None if self.item.truth is None else self.item.total(self.item.truth)

    @property
    def latency(self) -> float | None:
        """Milliseconds; None without a result."""
        return None if self.item.times is None else self.item.times.latency


ITEM_COLUMNS: tuple[Column[ItemRow], ...] = (
    Column("image", lambda r: words.plain(r.item.image, 60), lambda r: r.item.image, flex=True),
    Column("precision", lambda r: r.item.precision.value, lambda r: r.item.precision.value),
    Column("rep.", lambda r: str(r.item.repetition + 1), lambda r: r.item.repetition, right=True),
    Column("true", lambda r: words.whole(r.true), lambda r: r.true, right=True),
    Column("found", lambda r: words.whole(r.found), lambda r: r.found, right=True),
    Column("off by", lambda r: words.whole(r.error), lambda r: r.error, right=True),
    Column("ms", lambda r: words.milliseconds(r.latency), lambda r: r.latency, right=True),
    Column("problem", lambda r: words.plain(_problem(r.item), 40), lambda r: _problem(r.item)),
)


ASKED_COLUMNS: tuple[Column[ItemRow], ...] = (
    *ITEM_COLUMNS[:-1],
    Column("answer", lambda r: words.plain(_answer(r.item), 60), lambda r: _answer(r.item)),
    ITEM_COLUMNS[-1],
)
"""The same of questions, with the model's own words."""


def item_identity(row: ItemRow) -> tuple[str, int, int]:
    """What a row is known by."""
    return (row.item.precision.value, row.item.repetition, row.item.index)


def worst_first(items: Iterable[Item], position: int) -> list[ItemRow]:
    """Rows at a threshold: unreadable images, then by count error, then by latency."""
    rows = [ItemRow(item, _found(item, position), count_error(item, position)) for item in items]
    return sorted(rows, key=_badness, reverse=True)


def _answer(item: Item) -> str:
    return item.answer if isinstance(item, AskedItem) else ""


def _problem(item: Item) -> str:
    return item.error or item.unanswered or ""


def _badness(row: ItemRow) -> tuple[bool, int, float]:
    return (bool(_problem(row.item)), row.error or 0, row.latency or 0.0)


def _found(item: Item, position: int) -> int | None:
    return item.total(item.counts[position]) if position < len(item.counts) else None
