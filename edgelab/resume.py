"""Going on with a run that ended before its time: in its own folder, from where it stood.

A run's records tell one story however many attempts it took and however often the machine was
started in between: the clock of a new attempt goes on a few seconds behind the newest record.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgelab.durable import locked
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.problem import Problem
from edgelab.queue import enqueue, queued
from edgelab.reader import LiveRun
from edgelab.records import Outcome, Resumed
from edgelab.run_folder import RunFolder
from edgelab.store import Store

GAP_S = 5.0
"""Between two attempts on the run's clock: more than any sensor's period, so that nothing is
integrated across."""


@dataclass(frozen=True)
class Attempt:
    """What the next attempt at a run begins with.

    `shift_s`: what its monotonic clock is moved by; `earlier_s`: what the attempts before it took;
    `finished`: names of the steps that need not be done again.
    """

    shift_s: float = 0.0
    earlier_s: float = 0.0
    finished: frozenset[str] = frozenset()


def next_attempt(folder: RunFolder) -> Attempt:
    """Read from the journals what was done so far; all zero for a run that never began."""
    if not folder.life.exists():
        return Attempt()
    live = LiveRun(folder)
    live.advance()
    run = live.projection
    shift = 0.0 if run.now is None else run.now + GAP_S - time.monotonic()
    return Attempt(shift, run.elapsed_s or 0.0, frozenset(run.finished_steps))


def resume(home: Home, folder: RunFolder) -> None:
    """Put a run that is over, but not finished, back into the queue.

    Safe to repeat after a crash at any point. Raises Problem where there is nothing to go on with.
    """
    with locked(home.resume_lock):
        if any(waiting.id == folder.id for waiting in queued(home)):
            raise Problem(f"run {folder.id} is waiting or running already")
        live = LiveRun(folder)
        live.advance()
        run = live.projection
        if run.spec.origin is not None:
            raise Problem(f"run {folder.id} is of {run.spec.origin}: go on with it there")
        if run.outcome is Outcome.FINISHED:
            raise Problem(f"run {folder.id} is finished: there is nothing to go on with")
        folder.resume_request.touch()
        folder.stop_request.unlink(missing_ok=True)
        if run.ended is not None:
            _append(folder, run.now or 0.0)
        Store(home).remove(folder.id)
        folder.record.unlink(missing_ok=True)
        enqueue(home, run.spec.number, folder.id)


def _append(folder: RunFolder, last: float) -> None:
    with JournalWriter(folder.life) as life:
        life.append(Resumed(t=last, wall=time.time()))
        life.sync()
