"""What is on a chart, and the questions that can be asked of it with one right answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta
from numpy.random import Generator

ChartType = Literal[
    "area", "bar", "box", "bubble", "candlestick", "contour", "donut", "error bar", "grouped bar",
    "heatmap", "histogram", "horizontal bar", "line", "lollipop", "multi-line", "pie", "radar",
    "rose", "scatter", "stacked area", "stacked bar", "step", "treemap", "violin", "waterfall",
]  # fmt: skip
CHART_TYPES: tuple[ChartType, ...] = get_args(ChartType)

Kind = Literal["type", "count", "most", "least", "compare", "value", "title"]

Words = Annotated[str, Meta(min_length=1, max_length=500)]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question on an image and its one answer; numbers are written in digits."""

    kind: Kind
    question: Words
    answer: Words


@dataclass(frozen=True)
class Facts:
    """What a chart shows.

    `counted`: how many of what, by plural. `values`: what each name stands at, all different; empty
    where nothing has a value of its own. `most`, `least`: how to ask for the extremes, `compare`:
    how to compare two names. `labelled`: the values are written on the chart.
    """

    counted: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)
    most: str = "Which category is the highest?"
    least: str = "Which category is the lowest?"
    compare: str = "Is {} higher than {}?"
    labelled: bool = False


def questions(kind: str, facts: Facts, title: str | None, rng: Generator) -> tuple[Question, ...]:
    """All kinds of questions that the chart answers, each kind at most once a thing counted."""
    return tuple(_questions(kind, facts, title, rng))


def _questions(kind: str, facts: Facts, title: str | None, rng: Generator) -> Iterator[Question]:
    yield Question("type", "What type of chart is this?", kind)
    for things, count in facts.counted.items():
        yield Question("count", f"How many {things} are there?", str(count))
    if facts.values:
        yield from _on_values(facts, rng)
    if title is not None:
        yield Question("title", "What is the title of the chart?", title)


def _on_values(facts: Facts, rng: Generator) -> Iterator[Question]:
    values = facts.values
    yield Question("most", facts.most, max(values, key=values.__getitem__))
    yield Question("least", facts.least, min(values, key=values.__getitem__))
    first, second = (list(values)[int(i)] for i in rng.choice(len(values), 2, replace=False))
    answer = "yes" if values[first] > values[second] else "no"
    yield Question("compare", facts.compare.format(first, second), answer)
    if facts.labelled:
        yield Question("value", f"What is the value of {first}?", str(values[first]))
