"""The facts of a run as rows: everything that its figures depend on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from edgelab import words
from edgelab.asked_table import ASKED_TITLES, asked_rows
from edgelab.learned import (
    ANSWER_TITLES,
    CLASS_TITLES,
    EPOCH_TITLES,
    SCORE_TITLES,
    answer_rows,
    balance_words,
    class_rows,
    ended_words,
    epoch_rows,
    interval_words,
    score_rows,
)
from edgelab.record import PassSummary, RunRecord, TrainingSummary
from edgelab.records import Interval
from edgelab.roofline import share_words
from edgelab.run_folder import RunFolder
from screens.widgets.table import Column

_LOG_BYTES = 65536
LONG = 500
"""Of a value, or of a line of the log: more is not shown."""


class Fact(NamedTuple):
    """A name and what is known under it; `number` keeps equal names apart."""

    number: int
    name: str
    value: str


FACT_COLUMNS: tuple[Column[Fact], ...] = (
    Column("fact", lambda fact: words.plain(fact.name, 28), tone=lambda _: "label"),
    Column("value", lambda fact: words.plain(fact.value, LONG), flex=True),
)

LOG_COLUMNS: tuple[Column[Fact], ...] = (
    Column("line", lambda fact: words.plain(fact.value, LONG), flex=True),
)


def facts_of(record: RunRecord, folder: RunFolder) -> list[Fact]:
    """All facts, the run's own first, then data, models, conditions, environment."""
    parts = (_data(record), _learned(record), _passes(record), _conversions(record), _board(record))
    pairs = [*_run(record, folder), *chain.from_iterable(parts)]
    return [Fact(number, name, value) for number, (name, value) in enumerate(pairs) if value]


def log_of(folder: RunFolder) -> list[Fact]:
    """The last lines that the runner printed."""
    try:
        with folder.log.open("rb") as file:
            file.seek(max(0, folder.log.stat().st_size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [Fact(number, "", row) for number, row in enumerate(text.splitlines())]


def _run(record: RunRecord, folder: RunFolder) -> Iterator[tuple[str, str]]:
    spec = record.spec
    yield "run", f"#{spec.number} {spec.id}"
    yield "title", spec.title
    yield "outcome", record.outcome.value
    for row in record.reason.splitlines():
        yield "reason", row
    if record.started is not None:
        yield "started", words.moment(record.started, "%Y-%m-%d %H:%M:%S")
    yield "took", words.duration(record.duration_s)
    for warning in record.warnings:
        yield "note", warning
    if record.damaged_lines:
        yield "damaged lines", str(record.damaged_lines)
    yield "folder", str(folder.path)
    for name, value in msgspec.to_builtins(spec.settings).items():
        yield f"setting {name}", _value(value)


def _data(record: RunRecord) -> Iterator[tuple[str, str]]:
    facts = record.dataset
    if facts is None:
        return
    yield "dataset", f"{facts.name}, {facts.split}: {facts.images} images"
    yield "objects", str(facts.objects) if facts.objects is not None else "no annotations"
    yield "classes", ", ".join(facts.classes)
    yield "dataset sha256", facts.sha256


def _learned(record: RunRecord) -> Iterator[tuple[str, str]]:
    classes = record.dataset.classes if record.dataset else ()
    for split in record.splits:
        yield f"{split.split} split", balance_words(split, classes)
    if record.training is not None:
        yield "training", ended_words(record.training)
        yield "parameters", _parameters(record.training)
        for row in epoch_rows(record.training):
            yield f"epoch {row[0]}", _named(EPOCH_TITLES[1:], row[1:])
    for row in score_rows(record):
        yield f"scores {row[0]}", _named(SCORE_TITLES[1:], row[1:])
    for row in answer_rows(record):
        yield f"scores {row[0]}", _named(ANSWER_TITLES[1:], row[1:])
    for each in record.scores:
        for row in class_rows(each):
            yield f"{each.subject} {row[0]}", _named(CLASS_TITLES[1:], row[1:])


def _parameters(training: TrainingSummary) -> str:
    started = training.started
    return f"{started.parameters:,}, of them trained {started.trainable:,}"


def _named(titles: Sequence[str], values: Sequence[str]) -> str:
    pairs = zip(titles, values, strict=True)
    return ", ".join(f"{title} {value}" for title, value in pairs if value)


def _passes(record: RunRecord) -> Iterator[tuple[str, str]]:
    for summary in record.passes:
        for name, value in _pass(summary):
            yield f"{summary.precision.value} {name}", value
    for row in asked_rows(record):
        yield f"{row[0]} questions", _named(ASKED_TITLES[1:], row[1:])


def _pass(summary: PassSummary) -> Iterator[tuple[str, str]]:
    yield "outcome", summary.outcome.value
    for row in summary.reason.splitlines():
        yield "reason", row
    yield "executed", summary.executed.words if summary.executed else ""
    yield "model", summary.model_name or ""
    yield "model sha256", summary.model_sha256 or ""
    yield "model size", _megabytes(summary.model_bytes)
    yield "input", "{} x {} px".format(*summary.input_size) if summary.input_size else ""
    yield "iou", "" if summary.iou is None else f"{summary.iou:g}"
    yield "runtime", summary.runtime or ""
    yield "load", "" if summary.load_s is None else words.duration(summary.load_s)
    yield "peak memory", summary.memory_words
    yield "unreadable", f"{summary.errors} images" if summary.errors else ""
    yield "conditions", summary.conditions.verdict
    yield "slowed by", " ".join(summary.conditions.throttled_by)
    for figures in summary.energy:
        yield "energy", figures.words()
    if summary.floor_ms is not None:
        floor = words.milliseconds(summary.floor_ms)
        yield "floor", f"{floor} ms; reached {share_words(summary.floor_share)} of the board"
    yield from _scores(summary)


def _scores(summary: PassSummary) -> Iterator[tuple[str, str]]:
    """What was computed when the pass was over, with its 95 % intervals."""
    scores = summary.scores
    if scores is None:
        return
    for name, value in (("mAP50", scores.map50), ("mAP50-95", scores.map50_95)):
        if value is not None:
            yield name, interval_words(value)
    for row in summary.rows:
        at = scores.bounds_at(row.threshold)
        if at is not None and at.means.mae is not None and row.mae_mean is not None:
            name = "MAE" if row.threshold is None else f"MAE at {row.threshold:g}"
            yield (
                name,
                interval_words(Interval(row.mae_mean, *msgspec.structs.astuple(at.means.mae))),
            )


def _conversions(record: RunRecord) -> Iterator[tuple[str, str]]:
    """What the quantisation doctor found."""
    for report in record.conversions:
        for name, value in report.facts():
            yield f"{report.precision.value} {name}", value


def _megabytes(count: int | None) -> str:
    return "" if count is None else f"{words.megabytes(count)} MB"


def _board(record: RunRecord) -> Iterator[tuple[str, str]]:
    seen = record.conditions
    if record.spec.origin is not None:
        yield "imported from", record.spec.origin
    if seen.cpu_mean is not None:
        yield "cpu, mean", f"{seen.cpu_mean:.0f} %"
    if seen.temperature_max is not None:
        yield (
            "temperature",
            f"{seen.temperature_start:.1f} °C at the start, at most {seen.temperature_max:.1f}",
        )
    if seen.capped_mhz is not None:
        yield "clock capped at", f"{seen.capped_mhz:.0f} MHz"
    if seen.observer_cpu is not None:
        memory = words.megabytes(seen.observer_memory)
        yield "cost of watching", f"{seen.observer_cpu:.1f} % of a core, supervisor {memory} MB"
    if seen.frequency_min_mhz is not None:
        yield "lowest clock", f"{seen.frequency_min_mhz:.0f} MHz"
    yield from record.environment.items()
    governor = record.environment.get("governor", "performance")
    if governor != "performance":
        yield (
            "hint",
            f"{governor} changes the clocks with the load; --governor performance holds them",
        )


def _value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(_value(entry) for entry in value)
    return "" if value is None else str(value)
