"""A run taken apart, as tables: by class, and by how many objects were there to count."""

from __future__ import annotations

from typing import Any

from edgelab.breakdown import (
    CLASS_COLUMNS,
    COUNT_COLUMNS,
    ClassLine,
    CountLine,
    class_lines,
    count_lines,
)
from edgelab.record import RunRecord
from screens.columns import shown_column
from screens.face import Face
from screens.widgets.table import Table

_NOTHING = "No count of annotated objects is known of this run, or not yet."


def class_table(face: Face) -> Table[ClassLine]:
    """A row a pass and class."""
    columns = [shown_column(column) for column in CLASS_COLUMNS if column.title]
    return Table(columns, _identity, face, "Classes", "classes", nothing=_NOTHING)


def count_table(face: Face) -> Table[CountLine]:
    """A row a pass, class and range of true counts."""
    columns = [shown_column(column) for column in COUNT_COLUMNS if column.title]
    return Table(columns, _identity, face, "By true count", "counts", pinned=4, nothing=_NOTHING)


def lines_at(record: RunRecord, threshold: float | None) -> tuple[list[ClassLine], list[CountLine]]:
    """What both tables show at a threshold."""
    classes = [line for line in class_lines(record) if _is_at(line, threshold)]
    return classes, [line for line in count_lines(record) if _is_at(line, threshold)]


def _is_at(line: ClassLine | CountLine, threshold: float | None) -> bool:
    return line.row.counts is not None and line.row.counts.threshold == threshold


def _identity(line: Any) -> tuple[Any, ...]:
    """What a row is known by."""
    name = line.figures.name if isinstance(line, ClassLine) else (line.name, line.figures.first)
    return (line.row.summary.precision.value, name)
