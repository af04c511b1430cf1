"""`edgelab show`: what is known of a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec

from edgelab import words
from edgelab.breakdown import (
    ALL_CLASSES,
    CLASS_COLUMNS,
    COUNT_COLUMNS,
    L,
    class_lines,
    count_lines,
    lines_csv,
)
from edgelab.calibration import read_calibration
from edgelab.cli.follow import print_columns, print_results
from edgelab.cli.output import print_json, print_table
from edgelab.cli.written import write_to
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.record import RunRecord
from edgelab.results import Column, as_dict, rows_of
from edgelab.roofline import reach_of
from edgelab.settings.base import MeasureSettings, TaskSettings


def run(options: argparse.Namespace) -> int:
    """Print the record and its result rows."""
    lab = Lab(Home.default())
    lab.recover()
    if options.csv and options.by is None:
        raise Problem("--csv goes with --by; all figures of a run: edgelab export RUN --csv FILE")
    folder = lab.find(options.run)
    record = lab.record(folder)
    if options.by is not None:
        return _taken_apart(record, options)
    if options.json:
        rows = [as_dict(row) for row in rows_of(record)]
        print_json({**msgspec.to_builtins(record), "rows": rows, "folder": str(folder.path)})
        return 0
    print_table(
        ("", ""), [*_facts(record), *_floors(lab.home, record), ("folder", str(folder.path))]
    )
    for report in record.conversions:
        print(f"\n{report.model} in {report.precision}")
        print_table(("", ""), report.facts())
    print()
    print_results(record)
    return 0


def _taken_apart(record: RunRecord, options: argparse.Namespace) -> int:
    """The errors by class or by true count: a table, a JSON document, or a CSV file."""
    if options.by == "class":
        return _tell(CLASS_COLUMNS, list(class_lines(record)), options)
    lines = list(count_lines(record))
    if not options.json and not options.csv:
        lines = [line for line in lines if line.name == ALL_CLASSES]
    return _tell(COUNT_COLUMNS, lines, options)


def _tell(columns: Sequence[Column[L]], lines: Sequence[L], options: argparse.Namespace) -> int:
    if options.csv:
        write_to(options.csv, lines_csv(columns, lines))
    elif options.json:
        print_json([{column.name: column.value(line) for column in columns} for line in lines])
    elif lines:
        print_columns(columns, lines)
    else:
        print("no count of annotated objects is known of this run")
    return 0


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    settings, dataset = record.spec.settings, record.dataset
    facts = [
        ("run", f"{record.spec.id} (no. {record.spec.number}) {record.spec.title}"),
        *([("imported from", record.spec.origin)] if record.spec.origin else []),
        ("outcome", record.outcome.value),
        ("took", words.duration(record.duration_s)),
        ("model", settings.model),
        ("dataset", settings.dataset),
        *_conditions(settings),
    ]
    if dataset is not None:
        objects = "no annotations" if dataset.objects is None else f"{dataset.objects} objects"
        facts.append(("images", f"{dataset.images} ({dataset.split}), {objects}"))
    for summary in record.passes:
        if summary.executed is not None:
            facts.append((f"{summary.precision.value} executed as", summary.executed.words))
        if summary.memory_words:
            facts.append((f"{summary.precision.value} peak memory", summary.memory_words))
    facts += [(key, value) for key, value in record.environment.items() if key != "boot_id"]
    return facts


def _conditions(settings: TaskSettings) -> Iterator[tuple[str, str]]:
    if isinstance(settings, MeasureSettings):
        yield "scenario", f"{settings.scenario.value}, {settings.threads} threads"
    else:
        yield "task", f"{settings.task}, {settings.threads} threads"


def _floors(home: Home, record: RunRecord) -> Iterator[tuple[str, str]]:
    """What each pass reached of what its board can do, as far as that board was calibrated."""
    counted = [summary for summary in record.passes if summary.cost is not None]
    try:
        calibration = read_calibration(home, record.environment)
    except Problem as problem:
        yield "calibration", str(problem)
        return
    if calibration is None:
        if counted:
            yield "calibration", "none of this board: edgelab calibrate"
        return
    for warning in calibration.warnings:
        yield "calibration", f"{warning}: calibrate again"
    for summary in counted:
        if (reach := reach_of(record, summary, calibration)) is not None:
            yield f"{summary.precision.value} reached", reach.words
    for difference in calibration.differences(record.environment):
        yield "calibration", f"under other conditions: {difference}"
