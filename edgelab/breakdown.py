"""A run taken apart: its errors by class, and by how many objects were there to count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from edgelab import words
from edgelab.export import csv_text
from edgelab.record import RunRecord
from edgelab.records import Bounds, ClassPrecision, CountBounds, Interval
from edgelab.results import COLUMNS, Column, ResultRow, Value, rows_of
from edgelab.tally import ClassRow, TrueCountBin

T = TypeVar("T")
L = TypeVar("L", bound="ClassLine | CountLine")

ALL_CLASSES = "all"
"""All sub-datasets together."""


class ClassLine(NamedTuple):
    """One class of one pass at one threshold."""

    row: ResultRow
    figures: ClassRow
    bounds: CountBounds
    precision: ClassPrecision


class CountLine(NamedTuple):
    """The images of one class, or of all, that hold so many objects, of one pass and threshold."""

    row: ResultRow
    name: str
    figures: TrueCountBin


def class_lines(record: RunRecord) -> Iterator[ClassLine]:
    """A line a pass, threshold and class; none where nothing is known by class."""
    for row in rows_of(record):
        scores = row.summary.scores
        classes = row.counts.classes if row.counts else ()
        bounds = scores and row.counts and scores.bounds_at(row.counts.threshold)
        for index, figures in enumerate(classes):
            yield ClassLine(
                row,
                figures,
                _at(bounds.classes if bounds else (), index, CountBounds()),
                _at(scores.classes if scores else (), index, ClassPrecision()),
            )


def count_lines(record: RunRecord) -> Iterator[CountLine]:
    """A line a pass, threshold and range of true counts: all classes together, then each."""
    for row in rows_of(record):
        if row.counts is None:
            continue
        yield from (CountLine(row, ALL_CLASSES, each) for each in row.counts.by_true_count)
        for figures in row.counts.classes:
            yield from (CountLine(row, figures.name, each) for each in figures.by_true_count)


def lines_csv(columns: Sequence[Column[L]], lines: Iterable[L]) -> str:
    """All columns of these lines."""
    rows = ([column.value(line) for column in columns] for line in lines)
    return csv_text([column.name for column in columns], rows)


def range_words(counts: TrueCountBin) -> str:
    """2, 3-5, 11 and more."""
    if counts.last is None:
        return f"{counts.first} and more"
    return str(counts.first) if counts.first == counts.last else f"{counts.first}-{counts.last}"


def _at(values: Sequence[T], index: int, otherwise: T) -> T:
    return values[index] if index < len(values) else otherwise


def _of_run(name: str) -> Callable[[ClassLine | CountLine], Value]:
    column = next(each for each in COLUMNS if each.name == name)
    return lambda line: column.value(line.row)


def _figure(name: str) -> Callable[[ClassLine], Value]:
    def read(line: ClassLine) -> Value:
        value: Value = getattr(line.figures, name)
        return value

    return read


def _bound(name: str, end: str) -> Callable[[ClassLine], Value]:
    def read(line: ClassLine) -> Value:
        bounds: Bounds | None = getattr(line.bounds, name)
        return None if bounds is None else float(getattr(bounds, end))

    return read


def _average_precision(name: str, part: str) -> Callable[[ClassLine], Value]:
    def read(line: ClassLine) -> Value:
        interval: Interval | None = getattr(line.precision, name)
        return None if interval is None else float(getattr(interval, part))

    return read


def _interval(line: ClassLine) -> Value:
    bounds = line.bounds.mae
    return None if bounds is None else f"{bounds.low:.3f}-{bounds.high:.3f}"


def _two(value: float | None) -> str:
    return words.number(value, 2)


_PLACE: tuple[Column[Any], ...] = (
    Column("precision", _of_run("precision"), "precision"),
    Column("threshold", _of_run("threshold"), "thr.", _two),
)

_MODEL: tuple[Column[Any], ...] = (
    Column("run", _of_run("run")),
    Column("model", _of_run("model")),
    Column("dataset", _of_run("dataset")),
)

CLASS_COLUMNS: tuple[Column[ClassLine], ...] = (
    Column("class", _figure("name"), "class"),
    *_PLACE,
    Column("images", _figure("images"), "images", words.whole),
    Column("gt_count", _figure("gt_count"), "true", words.whole),
    Column("pred_count", _figure("pred_count"), "found", words.whole),
    Column("mae", _figure("mae"), "MAE", words.number),
    Column("mae_interval", _interval, "MAE 95 %"),
    Column("bias", _figure("bias"), "bias", words.number),
    Column("exact_share", _figure("exact"), "exact", words.share),
    Column("rmse", _figure("rmse"), "RMSE", words.number),
    Column("mse", _figure("mse"), "MSE", words.number),
    Column("ap50", _average_precision("ap50", "value"), "AP50", words.number),
    Column("ap50_95", _average_precision("ap50_95", "value"), "AP50-95", words.number),
    Column("unanswered", lambda line: line.figures.unanswered or None, "no count", words.whole),
    *(
        Column(f"{name}_{end}", _bound(name, end))
        for name in ("mae", "rmse", "bias", "exact")
        for end in ("low", "high")
    ),
    *(
        Column(f"{name}_{end}", _average_precision(name, end))
        for name in ("ap50", "ap50_95")
        for end in ("low", "high")
    ),
    *_MODEL,
)

COUNT_COLUMNS: tuple[Column[CountLine], ...] = (
    Column("class", lambda line: line.name, "class"),
    *_PLACE,
    Column("true_count", lambda line: range_words(line.figures), "true count"),
    Column("images", lambda line: line.figures.images, "images", words.whole),
    Column("mae", lambda line: line.figures.mae, "MAE", words.number),
    Column("bias", lambda line: line.figures.bias, "bias", words.number),
    Column("true_count_first", lambda line: line.figures.first),
    Column("true_count_last", lambda line: line.figures.last),
    *_MODEL,
)
