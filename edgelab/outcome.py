"""The end of a run: its record is made, kept, put into the index, and the queue moves."""

from __future__ import annotations

import time

import msgspec

from edgelab.calibration import read_calibration
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.problem import Problem
from edgelab.queue import dequeue
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Ended, Outcome
from edgelab.roofline import with_floors
from edgelab.run_folder import RunFolder
from edgelab.store import Store


def close_run(home: Home, folder: RunFolder) -> RunRecord:
    """Fold a run that has ended into its record, index it, take it out of the queue.

    Safe to repeat: whatever was done before is done again with the same result.
    """
    live = LiveRun(folder)
    live.advance()
    record = _with_floors(home, live.projection.record())
    replace_file(folder.record, msgspec.json.encode(record))
    Store(home).put(record)
    folder.resume_request.unlink(missing_ok=True)  # stopped before that attempt began
    dequeue(home, folder.id)
    return record


def _with_floors(home: Home, record: RunRecord) -> RunRecord:
    try:
        calibration = read_calibration(home, record.environment)
    except Problem:
        return record  # a damaged calibration costs its own figures only
    if calibration is None or calibration.warnings:
        return record  # rates taken on a busy board are no floor to be judged by
    return with_floors(record, calibration)


def end_run(home: Home, folder: RunFolder, outcome: Outcome, reason: str = "") -> RunRecord:
    """Write down how a run without a supervisor ended, and close it."""
    live = LiveRun(folder)
    live.advance()
    if live.projection.ended is None:
        last = live.projection.now
        with JournalWriter(folder.life) as life:
            life.append(
                Ended(
                    # On the clock of the boot that the run was made in, so that replay has no gap.
                    t=last if last is not None else time.monotonic(),
                    wall=time.time(),
                    outcome=outcome,
                    reason=reason,
                    duration_s=live.projection.elapsed_s,
                )
            )
            life.sync()
    return close_run(home, folder)
