"""The classes of a run that classifies: figures of each, and which it is taken for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from edgelab import words
from edgelab.records import ClassificationScores, ClassScore
from screens.widgets.table import Column


class ClassLine(NamedTuple):
    """One true class, and by whom its images were classified."""

    scores: ClassificationScores
    label: int

    @property
    def figures(self) -> ClassScore:
        """Precision, recall, F1."""
        return self.scores.classes[self.label]

    def answered(self, column: int) -> int:
        """How many of its images were taken for that class."""
        return self.scores.confusion[self.label][column]


def class_lines(scores: Iterable[ClassificationScores]) -> list[ClassLine]:
    """A line a subject and class, in the order of the data."""
    return [ClassLine(each, index) for each in scores for index in range(len(each.classes))]


def class_identity(line: ClassLine) -> tuple[str, int]:
    """What a row is known by."""
    return line.scores.subject, line.label


def class_columns(names: Sequence[str]) -> tuple[Column[ClassLine], ...]:
    """Figures, then the row of the confusion matrix: a column an answered class."""
    return (
        Column("by", lambda r: words.plain(r.scores.subject, 20), lambda r: r.scores.subject),
        Column("class", lambda r: words.plain(r.figures.name, 16), lambda r: r.figures.name),
        Column("images", lambda r: str(r.figures.images), lambda r: r.figures.images, right=True),
        *(_figure(title, name) for title, name in _FIGURES),
        *(_answered(name, index) for index, name in enumerate(names)),
    )


_FIGURES = (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))


def _figure(title: str, name: str) -> Column[ClassLine]:
    def value(line: ClassLine) -> float:
        return float(getattr(line.figures, name))

    return Column(title, lambda line: words.number(value(line)), value, right=True)


def _answered(name: str, index: int) -> Column[ClassLine]:
    def text(line: ClassLine) -> str:
        found = line.answered(index)
        return str(found) if found or index == line.label else ""

    return Column(
        f"as {words.plain(name, 10)}", text, partial(_count, index), right=True,
        tone=lambda line: "good" if line.label == index else "warn",
    )  # fmt: skip


def _count(index: int, line: ClassLine) -> int:
    return line.answered(index)


def summary(scores: Sequence[ClassificationScores]) -> str:
    """The figures of all classes together, the newest subject's."""
    if not scores:
        return ""
    last = scores[-1]
    parts = [f"{last.subject}: accuracy {last.accuracy.value:.3f}", f"macro F1 {last.f1.value:.3f}"]
    if last.ece is not None:
        parts.append(f"ECE {last.ece.value:.3f}")
    return words.plain(" · ".join(parts), 100)
