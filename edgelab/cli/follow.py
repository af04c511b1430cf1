"""Following a run in plain lines: live or replayed, the same display."""

from __future__ import annotations

import time

from edgelab import words
from edgelab.cli.output import StatusLine, print_table
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun, Replay
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.results import SHOWN, rows_of

TICK_S = 0.25


def follow(run: LiveRun) -> Outcome:
    """Show the progress of a run until its record is written; returns how it ended."""
    line = StatusLine()
    while not run.folder.record.exists():
        if run.advance():
            line.show(*_progress(run.projection))
        time.sleep(TICK_S)
    run.advance()
    line.clear()
    return run.projection.outcome


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
    rows = list(rows_of(record))
    cells = {column: [column.text(row) for row in rows] for column in SHOWN}
    # What nobody knows of any row takes no room; the CSV has all columns.
    told = [column for column in SHOWN if set(cells[column]) - {words.UNKNOWN}]
    titles = [column.title or "" for column in told]
    print_table(titles, zip(*(cells[column] for column in told), strict=True))
    if not any(summary.energy for summary in record.passes):
        print("no power source: see docs/energy.md")
    for warning in record.warnings:
        print(f"note: {words.plain(warning)}")
    if record.outcome is not Outcome.FINISHED:
        print(f"{record.outcome}: {reason_lines(record.reason)}")


def reason_lines(reason: str) -> str:
    """A reason of several lines (a traceback's last ones), each made harmless."""
    return "\n  ".join(words.plain(line) for line in reason.splitlines())


def _progress(run: RunProjection) -> tuple[str, str]:
    if run.outcome is Outcome.QUEUED:
        return "waiting in the queue", ""
    if run.waiting is not None:
        return words.plain(f"{run.spec.title}: {run.waiting.text}"), ""
    if run.current is None or run.current.started is None:
        return _phase(run)
    headline = f"{run.spec.title}: {run.current.precision} "
    figures = run.current.tally.latency_figures()
    detail = (
        f"{run.current.tally.done}/{run.current.expected}"
        f"  p50 {words.milliseconds(figures.p50_ms)} ms"
        f"  {words.number(run.current.images_per_s, 1)} img/s"
        f"  left {words.duration(run.time_left_s)}"
    )
    return words.plain(headline), detail


def _phase(run: RunProjection) -> tuple[str, str]:
    phase = run.phase
    if phase is None:
        return words.plain(f"{run.spec.title}: {run.step or 'starting'}"), ""
    total = f"/{phase.total}" if phase.total else ""
    return words.plain(f"{run.spec.title}: {phase.name}"), f"{run.phase_done}{total} {phase.unit}"
