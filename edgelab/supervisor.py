"""The supervisor: a small detached process that takes runs from the queue, one at a time.

It starts each step of a run as a process, samples the board meanwhile, obeys requests to stop,
says how the run ended, and is the only writer of the store while it lives. It ends itself when the
queue is empty.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence

from edgelab import environment
from edgelab.consoles import open_consoles
from edgelab.death import Death, OutOfMemoryCounts, explain
from edgelab.durable import try_locked
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.outcome import close_run, end_run
from edgelab.problem import Problem
from edgelab.queue import dequeue, queued
from edgelab.reader import LiveRun
from edgelab.records import Ended, Outcome, Record, Started, StepEnded, StepStarted
from edgelab.run_folder import RunFolder
from edgelab.runner_process import RunnerProcess, end_orphan
from edgelab.spec import RunSpec
from edgelab.steps import Step, steps_of
from edgelab.store import Store
from edgelab.telemetry import Board, ProcessTree

log = logging.getLogger("edgelab.supervisor")

SAMPLE_PERIOD_S = 1.0
POLL_PERIOD_S = 0.5
STOP_GRACE_S = 10.0
FULL_DISK_PAUSE_S = 5.0


_GOOD = Outcome.FINISHED
_ENDS_THE_RUN = frozenset({Outcome.STOPPED, Outcome.TIMED_OUT, Outcome.INTERRUPTED, Outcome.KILLED})


class Flag:
    """Set by a signal, looked at between two waits."""

    def __init__(self) -> None:
        self._set = False

    def __bool__(self) -> bool:
        return self._set

    def set(self, *_: object) -> None:
        """Also a signal handler."""
        self._set = True


class RunSupervisor:
    """One run from its first step to its record."""

    def __init__(self, home: Home, folder: RunFolder, spec: RunSpec, terminated: Flag) -> None:
        self._home = home
        self._folder = folder
        self._spec = spec
        self._terminated = terminated
        self._board = Board(home=home.root)
        self._consoles: dict[int, ProcessTree] = {}
        self._started = time.monotonic()
        self._next_sample = self._started
        self._telemetry: JournalWriter | None = JournalWriter(folder.telemetry)
        self._life = JournalWriter(folder.life)

    def run(self) -> None:
        """Do all steps, then close the run."""
        self._write(
            Started(
                t=self._started,
                wall=time.time(),
                boot_id=environment.boot_id(),
                supervisor_pid=os.getpid(),
                environment=environment.capture(),
            )
        )
        self._observe(self._board.facts)
        death = self._steps(steps_of(self._spec))
        now = time.monotonic()
        self._write(
            Ended(
                t=now,
                wall=time.time(),
                outcome=death.outcome,
                reason=death.reason,
                duration_s=now - self._started,
            )
        )
        self._life.close()
        if self._telemetry is not None:
            self._telemetry.close()
        self._insist(lambda: close_run(self._home, self._folder))

    def _steps(self, steps: Sequence[Step]) -> Death:
        """Run the steps in order; the first bad end is the run's own."""
        worst = Death(_GOOD)
        for step in steps:
            death = self._step(step)
            if death.outcome is not _GOOD and worst.outcome is _GOOD:
                worst = Death(death.outcome, f"{step.name}: {death.reason}")
            if death.outcome in _ENDS_THE_RUN or (step.needed and worst.outcome is not _GOOD):
                break
        return worst

    def _step(self, step: Step) -> Death:
        if self._folder.stop_request.exists():
            return Death(Outcome.STOPPED, "stopped on request")
        before = OutOfMemoryCounts.read()
        process = RunnerProcess(step, self._folder)
        try:
            self._write(StepStarted(t=time.monotonic(), step=step.name, pid=process.pid))
            ordered, status = self._watch(process)
        finally:
            process.close()
        death = ordered or explain(status, self._folder.log, before, OutOfMemoryCounts.read())
        self._write(
            StepEnded(
                t=time.monotonic(),
                step=step.name,
                outcome=death.outcome,
                reason=death.reason,
                exit_code=status if status >= 0 else None,
                signal=-status if status < 0 else None,
            )
        )
        return death

    def _watch(self, process: RunnerProcess) -> tuple[Death | None, int]:
        """Wait for the process; returns why we ended it, if we did, and its status."""
        tree = ProcessTree(process.pid)
        ordered: Death | None = None
        kill_at = float("inf")
        while True:
            pause = min(POLL_PERIOD_S, self._next_sample - time.monotonic())
            status = process.wait(pause)
            if status is not None:
                return ordered, status
            self._sample(tree)
            if ordered is None and (ordered := self._order_to_end()):
                process.signal(signal.SIGTERM)
                kill_at = time.monotonic() + STOP_GRACE_S
            elif time.monotonic() > kill_at:
                process.signal(signal.SIGKILL)

    def _order_to_end(self) -> Death | None:
        if self._folder.stop_request.exists():
            return Death(Outcome.STOPPED, "stopped on request")
        if self._terminated:
            return Death(Outcome.INTERRUPTED, "the supervisor was told to end")
        limit = self._spec.time_limit_s
        if limit is not None and time.monotonic() - self._started > limit:
            return Death(Outcome.TIMED_OUT, f"over its time limit of {limit:g} s")
        return None

    def _sample(self, tree: ProcessTree) -> None:
        now = time.monotonic()
        if now < self._next_sample:
            return
        # The next tick of the grid that lies ahead: a late sample is not made up for.
        self._next_sample += SAMPLE_PERIOD_S * (1 + (now - self._next_sample) // SAMPLE_PERIOD_S)
        settle_queue(self._home, besides=self._folder)
        self._observe(lambda: self._board.sample(tree, self._watchers()))

    def _observe(self, read: Callable[[], Record]) -> None:
        """Add to the telemetry. A full disk costs the readings, never the run."""
        if self._telemetry is None:
            return
        try:
            self._telemetry.append(read())
        except OSError as error:
            log.warning("telemetry of %s ends here: %s", self._folder.id, error)
            self._telemetry.close()
            self._telemetry = None

    def _watchers(self) -> list[ProcessTree]:
        """The open consoles: what they use is the cost of watching, not somebody else's load."""
        pids = open_consoles(self._home)
        self._consoles = {pid: self._consoles.get(pid) or ProcessTree(pid) for pid in pids}
        return list(self._consoles.values())

    def _write(self, record: Record) -> None:
        def append() -> None:
            self._life.append(record)
            self._life.sync()

        self._insist(append)

    def _insist(self, write: Callable[[], object]) -> None:
        """Do not lose how a run ended to a full disk: wait until there is room again."""
        told = False
        while True:
            try:
                write()
                return
            except OSError as error:
                if self._terminated:
                    raise
                if not told:
                    log.warning("cannot write, waiting for room: %s", error)
                told = True
                time.sleep(FULL_DISK_PAUSE_S)


def settle_queue(home: Home, besides: RunFolder | None = None) -> None:
    """End the runs of the queue that need no runner: stopped while waiting, or left by the dead."""
    for folder in queued(home):
        if besides is not None and folder.id == besides.id:
            continue
        if folder.life.exists():
            end_run(home, folder, Outcome.INTERRUPTED, _why_interrupted(folder))
        elif folder.stop_request.exists():
            end_run(home, folder, Outcome.STOPPED, "stopped while waiting in the queue")


def main() -> None:
    """Work through the queue of the default home, unless another supervisor does."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    home = Home.default()
    terminated = Flag()
    signal.signal(signal.SIGTERM, terminated.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while queued(home) and not terminated:
        with try_locked(home.supervisor_lock) as mine:
            if not mine:
                return
            drain(home, terminated)


def drain(home: Home, terminated: Flag) -> None:
    """Run everything that waits, first in line first; the supervisor lock must be held."""
    Store(home).sweep()
    settle_queue(home)
    while (waiting := queued(home)) and not terminated:
        folder = waiting[0]
        try:
            spec = folder.read_spec()
        except Problem as problem:
            log.warning("%s", problem)
            dequeue(home, folder.id)
            continue
        RunSupervisor(home, folder, spec, terminated).run()
        settle_queue(home)


def _why_interrupted(folder: RunFolder) -> str:
    """Say why nobody ended the run; a runner that outlived its supervisor is ended here."""
    live = LiveRun(folder)
    live.advance()
    started = live.projection.started
    if started is not None and started.boot_id != environment.boot_id():
        return "the machine went down during the run"
    end_orphan(live.projection.runner_pid, folder)
    return "the supervisor died during the run"


if __name__ == "__main__":
    main()
