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
from functools import partial

from edgelab import environment
from edgelab.death import Death, OutOfMemoryCounts, explain, said_failure
from edgelab.durable import try_locked
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.observer import Observer
from edgelab.outcome import close_run
from edgelab.problem import Problem
from edgelab.queue import queued
from edgelab.records import (
    Ended,
    Outcome,
    Record,
    Started,
    StepEnded,
    StepStarted,
    Waiting,
    Warning,  # noqa: A004
)
from edgelab.resume import next_attempt
from edgelab.run_folder import RunFolder
from edgelab.runner_process import RunnerProcess
from edgelab.settling import NO_ROOM, set_aside_if_broken, settle_queue
from edgelab.spec import RunSpec
from edgelab.stage import read_stage
from edgelab.steps import Step, steps_of
from edgelab.store import Store
from edgelab.telemetry.governor import give_back, hold
from edgelab.telemetry.process_tree import ProcessTree

log = logging.getLogger("edgelab.supervisor")

POLL_PERIOD_S = 0.5
STOP_GRACE_S = 10.0
FULL_DISK_PAUSE_S = 5.0
POWER_TAIL_S = 5.0
COOL_ENOUGH = 1.0
"""Degrees above the target at which a board counts as cooled down."""


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
        self._attempt = next_attempt(folder)
        self._started = time.monotonic()
        self._life = JournalWriter(folder.life, self._attempt.shift_s)
        self._observer = Observer(home, folder, shift_s=self._attempt.shift_s)
        self._start_heat = self._observer.newest.hottest
        self._measured_until: float | None = None

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
        # From here on the attempt has begun: whoever finds it without us ends it.
        self._folder.resume_request.unlink(missing_ok=True)
        for text in self._observer.warnings:
            self._write(Warning(t=time.monotonic(), text=text))
        self._hold_clocks()
        death = self._measure_baseline() or self._steps(steps_of(self._spec))
        self._bracket_power()
        give_back(self._home.former_governors, environment.boot_id())
        now = time.monotonic()
        self._write(
            Ended(
                t=now,
                wall=time.time(),
                outcome=death.outcome,
                reason=death.reason,
                duration_s=self._attempt.earlier_s + now - self._started,
            )
        )
        self._life.close()
        self._observer.close()
        self._insist(lambda: close_run(self._home, self._folder))

    def _steps(self, steps: Sequence[Step]) -> Death:
        """Run the steps in order; the first bad end is the run's own."""
        worst = Death(_GOOD)
        for step in steps:
            if step.name in self._attempt.finished and not step.again:
                continue
            death = self._cool_down(step) or self._step(step)
            if death.outcome is not _GOOD and worst.outcome is _GOOD:
                worst = Death(death.outcome, f"{step.name}: {death.reason}")
            if death.outcome in _ENDS_THE_RUN or (step.needed and worst.outcome is not _GOOD):
                break
        return worst

    def _step(self, step: Step) -> Death:
        if order := self._order_to_end():
            return order
        before, since = OutOfMemoryCounts.read(), time.monotonic() + self._attempt.shift_s
        try:
            process = RunnerProcess(step, self._folder, self._attempt.shift_s)
        except OSError as error:
            return Death(Outcome.FAILED, f"the runner could not be started: {error}")
        try:
            self._write(StepStarted(t=time.monotonic(), step=step.name, pid=process.pid))
            ordered, status = self._watch(process)
        finally:
            process.close()
        if step.measures:
            self._measured_until = time.monotonic()
        said = said_failure(self._folder.events, step.name, since)
        death = ordered or explain(status, self._folder.log, before, OutOfMemoryCounts.read(), said)
        death = death.in_stage(read_stage(self._folder.stage, step.name))
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
            status = process.wait(min(POLL_PERIOD_S, self._observer.pause_s))
            if status is not None:
                self._observer.last_of(tree, process.cpu_seconds)
                return ordered, status
            self._tick(tree)
            if ordered is None and (ordered := self._order_to_end()):
                process.signal(signal.SIGTERM)
                kill_at = time.monotonic() + STOP_GRACE_S
            elif time.monotonic() > kill_at:
                process.signal(signal.SIGKILL)

    def _measure_baseline(self) -> Death | None:
        """Where power is known, see first what the idle board takes."""
        seconds = self._observer.idle_baseline_s
        if not self._observer.has_power or seconds <= 0:
            return None
        since = time.monotonic()
        order = self._wait("the idle board's power is measured", seconds, lambda: False)
        self._observer.baseline_ended(since)
        return order

    def _bracket_power(self) -> None:
        """A measured window ends between two readings: the later one has still to come."""
        since = self._measured_until
        if self._observer.has_power and since is not None:
            self._wait(
                "the power reading after the last image",
                POWER_TAIL_S,
                lambda: self._observer.power_heard_since(since),
            )

    def _cool_down(self, step: Step) -> Death | None:
        """Wait for the board to be as cool as it was, where the run asks for it."""
        gate = self._spec.cool_down
        target = None if gate is None else gate.celsius or self._start_heat
        if gate is None or target is None or not step.measures:
            return None

        def cool() -> bool:
            heat = self._observer.newest.hottest
            return heat is None or heat <= target + COOL_ENOUGH

        if cool():
            return None
        return self._wait(f"cooling down to {target:.0f} °C", gate.limit_s, cool)

    def _wait(self, text: str, limit_s: float, until: Callable[[], bool]) -> Death | None:
        """Do nothing but observe; returns an order to end that came meanwhile."""
        end = time.monotonic() + limit_s
        self._write(Waiting(t=time.monotonic(), text=text, limit_s=limit_s))
        while (now := time.monotonic()) < end and not until():
            if order := self._order_to_end():
                return order
            time.sleep(min(POLL_PERIOD_S, self._observer.pause_s, end - now))
            self._tick()
        return None

    def _tick(self, tree: ProcessTree | None = None) -> None:
        if self._observer.tick(tree):
            settle_queue(self._home, besides=self._folder)

    def _hold_clocks(self) -> None:
        if self._spec.governor is None:
            return
        try:
            hold(self._spec.governor, self._home.former_governors, environment.boot_id())
        except Problem as problem:
            self._write(Warning(t=time.monotonic(), text=str(problem)))

    def _order_to_end(self) -> Death | None:
        if self._folder.stop_request.exists():
            return Death(Outcome.STOPPED, "stopped on request")
        if self._terminated:
            return Death(Outcome.INTERRUPTED, "the supervisor was told to end")
        limit = self._spec.time_limit_s
        if limit is not None and time.monotonic() - self._started > limit:
            return Death(Outcome.TIMED_OUT, f"over its time limit of {limit:g} s")
        return None

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
                if self._terminated or error.errno not in NO_ROOM:
                    raise
                if not told:
                    log.warning("cannot write, waiting for room: %s", error)
                told = True
                time.sleep(FULL_DISK_PAUSE_S)


def main() -> None:
    """Work through the queue of the default home, unless another supervisor does."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.raiseExceptions = False  # a full disk must not fill the log with its own troubles
    home = Home.default()
    terminated = Flag()
    signal.signal(signal.SIGTERM, terminated.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while _not_begun(home) and not terminated:
        with try_locked(home.supervisor_lock) as mine:
            if not mine:
                return
            drain(home, terminated)


def drain(home: Home, terminated: Flag) -> None:
    """Run everything that waits, first in line first; the supervisor lock must be held."""
    Store(home).sweep()
    give_back(home.former_governors, environment.boot_id())
    settle_queue(home)
    while (waiting := _not_begun(home)) and not terminated:
        folder = waiting[0]
        set_aside_if_broken(home, folder, partial(_supervise, home, folder, terminated))
        settle_queue(home)


def _not_begun(home: Home) -> list[RunFolder]:
    return [folder for folder in queued(home) if not folder.begun]


def _supervise(home: Home, folder: RunFolder, terminated: Flag) -> None:
    RunSupervisor(home, folder, folder.read_spec(), terminated).run()


if __name__ == "__main__":
    main()
