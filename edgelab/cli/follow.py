"""Following a run in plain lines: live or replayed, the same display."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edgelab import words
from edgelab.asked_table import ASKED_TITLES, asked_rows
from edgelab.cli.output import StatusLine, print_table
from edgelab.converting import TITLES as CONVERSION_TITLES
from edgelab.converting import conversion_rows
from edgelab.lab import Lab
from edgelab.learned import (
    ANSWER_TITLES,
    CLASS_TITLES,
    EPOCH_TITLES,
    SCORE_TITLES,
    answer_rows,
    class_rows,
    ended_words,
    epoch_rows,
    score_rows,
)
from edgelab.pass_state import PassState
from edgelab.problem import Problem
from edgelab.projection import STARTING, RunProjection
from edgelab.queue import queued
from edgelab.reader import LiveRun, Replay
from edgelab.record import RunRecord
from edgelab.records import MEASURE, TRAIN, Outcome
from edgelab.results import SHOWN, Column, R, ResultRow, rows_of
from edgelab.run_folder import RunFolder
from edgelab.settings.convert import ConversionSettings
from edgelab.training_state import TrainingState

TICK_S = 0.25
QUIET_S = 2.0
"""After so long without news it is asked whether the supervisor lives."""


def follow(lab: Lab, run: LiveRun) -> Outcome:
    """Show the progress of a run until its record is written; returns how it ended.

    When nothing new comes, somebody may have died: then the lab is looked after. Raises Problem
    where the run was deleted meanwhile.
    """
    line = StatusLine()
    quiet_since = time.monotonic()
    while not run.folder.record.is_file():
        if run.advance():
            quiet_since = time.monotonic()
            line.show(*_progress(run.projection))
        elif time.monotonic() - quiet_since > QUIET_S:
            if not run.folder.spec_file.exists():
                raise Problem(f"run {run.folder.id} was deleted")
            lab.recover()
            _expect_a_record(lab, run.folder)
            quiet_since = time.monotonic()
        time.sleep(TICK_S)
    run.advance()
    line.clear()
    return run.projection.outcome


def _expect_a_record(lab: Lab, folder: RunFolder) -> None:
    """A run leaves the queue once it has its record, or because that could not be written."""
    waits = any(each.id == folder.id for each in queued(lab.home))
    if not waits and not folder.record.is_file():
        log = lab.home.supervisor_log
        raise Problem(f"run {folder.id} was given up: see {log}, then edgelab runs rebuild")


def play(replay: Replay) -> None:
    """Show a run again at the speed of the replay."""
    line = StatusLine()
    replay.play()
    while replay.playing:
        replay.advance()
        line.show(*_progress(replay.projection))
        time.sleep(TICK_S if replay.playing else 0)
    line.clear()


def print_results(record: RunRecord) -> None:
    """The result table of a run, and what its reader must know."""
    if record.training is not None:
        print_table(EPOCH_TITLES, epoch_rows(record.training))
        print(ended_words(record.training))
    if record.scores:
        print_table(SCORE_TITLES, score_rows(record))
        print_table(CLASS_TITLES, class_rows(record.scores[-1]))
    if record.answer_scores:
        print_table(ANSWER_TITLES, answer_rows(record))
    _print_conversions(record)
    if record.passes:
        print_rows(list(rows_of(record)))
    if asked := asked_rows(record):
        print_table(ASKED_TITLES, asked)
    for warning in record.warnings:
        print(f"note: {words.plain(warning)}")
    if record.outcome.over and record.outcome is not Outcome.FINISHED:
        print(f"{record.outcome}: {reason_lines(record.reason)}")


def _print_conversions(record: RunRecord) -> None:
    if record.conversions and not record.passes:
        print_table(CONVERSION_TITLES, conversion_rows(record.conversions))
        if isinstance(record.spec.settings, ConversionSettings):
            print(f"known as: {words.plain(record.spec.settings.name)}")


def print_rows(rows: Sequence[ResultRow]) -> None:
    """The results, and why energy is missing where it is."""
    print_columns(SHOWN, rows)
    if not any(row.summary.energy for row in rows):
        print("no power source: see docs/energy.md")


def print_columns(columns: Sequence[Column[R]], rows: Sequence[R]) -> None:
    """Of the titled columns those that are known of any of these rows."""
    titled = [column for column in columns if column.title]
    cells = {column.name: [column.text(row) for row in rows] for column in titled}
    # What nobody knows of any row takes no room; the CSV has all columns.
    told = [column for column in titled if set(cells[column.name]) - {words.UNKNOWN}]
    titles = [column.title or "" for column in told]
    print_table(titles, zip(*(cells[column.name] for column in told), strict=True))


def reason_lines(reason: str) -> str:
    """A reason of several lines (a traceback's last ones), each made harmless."""
    # Long enough for what would be right to come whole: a hub's file, its address, the command.
    return "\n  ".join(words.plain(line, 1000) for line in reason.splitlines())


def _progress(run: RunProjection) -> tuple[str, str]:
    """What is being done, and how far it is."""
    if run.outcome is Outcome.QUEUED:
        return "waiting in the queue", ""
    if run.waiting is not None:
        return words.plain(f"{run.spec.title}: {run.waiting.text}"), ""
    doing = (run.spec.title, run.step, run.phase.name if run.phase else STARTING)
    headline = words.plain(": ".join(each for each in doing if each))
    if run.phase is None:
        return headline, ""
    if run.current is not None and run.current.tally.done and run.phase.name == MEASURE:
        return headline, _measured(run, run.current)
    if run.training is not None and run.phase.name == TRAIN:
        return headline, _trained(run.training)
    total = f"/{run.phase.total}" if run.phase.total else ""
    return headline, f"{run.phase_done}{total} {run.phase.unit}" if run.phase.unit else ""


def _measured(run: RunProjection, state: PassState) -> str:
    answers = state.tally.classified
    right = f"  top-1 {words.number(answers.accuracy)}" if answers is not None else ""
    return (
        f"{state.tally.done}/{state.expected}"
        f"  p50 {words.milliseconds(state.tally.latency.at(0.5))} ms"
        f"  {words.number(state.images_per_s, 1)} img/s"
        f"  left {words.duration(run.time_left_s)}{right}"
    )


def _trained(training: TrainingState) -> str:
    newest, metric = training.epochs[-1] if training.epochs else None, training.started.metric
    value = newest.metrics.get(metric) if newest else None
    return (
        f"{training.steps}/{training.planned} steps"
        f"  loss {words.number(training.last.loss if training.last else None)}"
        f"  {metric} {words.number(value)}"
        f"  {words.number(training.examples_per_s, 1)} img/s"
        f"  left {words.duration(training.time_left_s)}"
    )
