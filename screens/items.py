"""The images of a run as rows, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edgelab import words
from edgelab.records import AskedItem, ClassifiedItem, Item
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import TaskSettings
from edgelab.settings.classify import ClassifySettings
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
    def label(self) -> int | None:
        """The true class, for a classifier."""
        return self.item.label if isinstance(self.item, ClassifiedItem) else None

    @property
    def top(self) -> tuple[tuple[int, float], ...]:
        """Its most probable classes, the first one first."""
        return self.item.top if isinstance(self.item, ClassifiedItem) else ()

    @property
    def wrong(self) -> bool:
        """True where the most probable class is not the true one."""
        return bool(self.top) and self.top[0][0] != self.label

    @property
    def probability(self) -> float | None:
        """Of the most probable class."""
        return self.top[0][1] if self.top else None

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


def asked_columns(classes: Sequence[str]) -> tuple[Column[ItemRow], ...]:
    """The same of questions: what was asked for, and the model's own words."""

    def asked(row: ItemRow) -> str:
        """The class that is counted; where it is none, the whole question."""
        item = row.item
        if not isinstance(item, AskedItem):
            return ""
        counted = item.evaluated[0] if item.evaluated else len(classes)
        return classes[counted] if counted < len(classes) else item.question

    return (
        ITEM_COLUMNS[0],
        Column("asked", lambda r: words.plain(asked(r), 30), asked),
        *ITEM_COLUMNS[1:-1],
        Column("answer", lambda r: words.plain(_answer(r.item), 60), lambda r: _answer(r.item)),
        ITEM_COLUMNS[-1],
    )


def answer_columns(classes: Sequence[str]) -> tuple[Column[ItemRow], ...]:
    """The same for a classifier: true and answered classes by name, and how sure it was."""

    def named(index: int | None) -> str:
        known = index is not None and 0 <= index < len(classes)
        return words.plain(classes[index], 24) if known and index is not None else words.UNKNOWN

    def answered(row: ItemRow) -> str:
        return named(row.top[0][0]) if row.top else words.UNKNOWN

    return (
        ITEM_COLUMNS[0],
        *(column for column in ITEM_COLUMNS if column.title in ("precision", "rep.")),
        Column("true", lambda r: named(r.label), lambda r: named(r.label)),
        Column("answer", answered, answered, tone=lambda r: "bad" if r.wrong else "plain"),
        Column("right", lambda r: "no" if r.wrong else "yes" if r.top else "", lambda r: r.wrong),
        Column("prob.", lambda r: words.number(r.probability), lambda r: r.probability, right=True),
        *(column for column in ITEM_COLUMNS if column.title in ("ms", "problem")),
    )


def item_columns(
    settings: TaskSettings, classes: Sequence[str] = ()
) -> tuple[Column[ItemRow], ...]:
    """What a task's images are told by."""
    if isinstance(settings, ClassifySettings):
        return answer_columns(classes)
    return asked_columns(classes) if isinstance(settings, AskSettings) else ITEM_COLUMNS


def item_identity(row: ItemRow) -> tuple[str, int, int]:
    """What a row is known by."""
    return (row.item.precision.value, row.item.repetition, row.item.index)


def worst_first(items: Iterable[Item], position: int) -> list[ItemRow]:
    """Rows at a threshold: unreadable images, then by count error, then by how sure a wrong answer
    was, then by latency."""
    rows = [ItemRow(item, _found(item, position), count_error(item, position)) for item in items]
    return sorted(rows, key=_badness, reverse=True)


def _answer(item: Item) -> str:
    return item.answer if isinstance(item, AskedItem) else ""


def _problem(item: Item) -> str:
    return item.error or item.unanswered or ""


def _badness(row: ItemRow) -> tuple[bool, int, float, float]:
    how_sure = (row.probability or 0.0) if row.wrong else 0.0
    return (bool(_problem(row.item)), row.error or 0, how_sure, row.latency or 0.0)


def _found(item: Item, position: int) -> int | None:
    return item.total(item.counts[position]) if position < len(item.counts) else None
