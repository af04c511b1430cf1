"""The common main of every runner program: its journals, its manners, and how it ends.

    with open_step(folder, "prepare") as step:
        step.phase("read the dataset", total)

Every runner dies with its supervisor, is the first to go when the board runs out of memory, stops
cleanly on SIGTERM, and leaves behind whole journals and an exit code that tells how it ended.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

from edgelab.journal import JournalReader, JournalWriter
from edgelab.launch import CLOCK_SHIFT
from edgelab.problem import Problem
from edgelab.records import (
    Answered,
    Failure,
    Item,
    MeasuredLine,
    Phase,
    Progress,
    Record,
    TrainStep,
)
from edgelab.records import Warning as WarningRecord
from edgelab.run_folder import RunFolder
from edgelab.settings.base import TaskSettings
from edgelab.settings.common import Precision
from edgelab.stage import StageMark
from edgelab.steps import DISK_FULL_EXIT, OUT_OF_MEMORY_EXIT
from runners.memory import is_out_of_memory

S = TypeVar("S", bound=TaskSettings)

RANK = "RANK"
"""The variable by which a launcher of several processes numbers each, from 0."""

STOPPED_EXIT = 128 + signal.SIGTERM
FAILED_EXIT = 1

PROGRESS_PERIOD_S = 0.5
SYNC_PERIOD_S = 5.0

_OOM_SCORE = "500"
_PR_SET_PDEATHSIG = 1
_SUPERVISOR = os.getppid()  # read this early, for it may die while the rest is imported


class Stopped(BaseException):
    """Somebody asked this runner to stop; no error, so no `except Exception` may swallow it."""


class RunningStep:
    """A running step of a run. All its methods may raise OSError when the disk is full.

    `silent`: another process of the step writes the journals, which have one writer.
    """

    def __init__(self, folder: RunFolder, name: str, silent: bool = False) -> None:
        self.folder = folder
        self.name = name
        self.spec = folder.read_spec()
        self.stop_asked = False
        self._shift_s = float(os.environ.get(CLOCK_SHIFT, "0"))
        self._silent = silent
        self._events = None if silent else JournalWriter(folder.events, self._shift_s)
        self._items: JournalWriter | None = None
        self.stage = StageMark(folder.stage, name)
        self._progress_due = 0.0
        self._progress_total: int | None = None
        self._sync_due = 0.0

    def settings(self, kind: type[S]) -> S:
        """What the run is asked to do; raises Problem where it is another program's task."""
        settings = self.spec.settings
        if not isinstance(settings, kind):
            raise Problem(f"{self.folder.path}: a run of the task {settings.task!r}: not for this")
        return settings

    def phase(self, name: str, total: int | None = None, unit: str = "images") -> None:
        """Say what begins now; `total` counts its units where it is known."""
        self.checkpoint()
        self.event(Phase(now(), self.name, name, total, unit))
        self._progress_total = total
        self._progress_due = 0.0

    def progress(self, done: int) -> None:
        """Say how far the phase has come: at most twice a second, and always its end."""
        self.checkpoint()
        moment = now()
        if moment < self._progress_due and done != self._progress_total:
            return
        self._progress_due = moment + PROGRESS_PERIOD_S
        self.event(Progress(moment, self.name, done))

    def warning(self, text: str) -> None:
        """Tell the run's reader something that does not stop it."""
        self.event(WarningRecord(now(), text))

    def event(self, record: Record) -> None:
        """Append to events.jsonl."""
        if self._events is not None:
            _append(self._events, record)

    def item(self, item: Item | TrainStep | Answered) -> None:
        """Append to items.jsonl. The disk is waited for every few seconds only."""
        if self._silent:
            return
        if self._items is None:
            self._items = JournalWriter(self.folder.items, self._shift_s)
            self._sync_due = item.t + SYNC_PERIOD_S
        _append(self._items, item)
        if item.t >= self._sync_due:
            self._items.sync()
            self._sync_due = now() + SYNC_PERIOD_S

    def done(self, precision: Precision) -> frozenset[tuple[int, int]]:
        """(repetition, index) of the items that earlier attempts at the run left behind."""
        journal: JournalReader[Item] = JournalReader(self.folder.items, MeasuredLine)
        return frozenset(
            (item.repetition, item.index)
            for item in journal.follow(journal.size())
            if item.precision is precision
        )

    def checkpoint(self) -> None:
        """End here, between two units of work, if a stop was asked for; raises Stopped."""
        if self.stop_asked:
            raise Stopped

    def close(self) -> None:
        """Make the journals durable and close them."""
        for journal in (self._items, self._events):
            if journal is not None:
                with suppress(OSError):
                    journal.sync()
                journal.close()

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle a signal: the work ends at its next checkpoint."""
        self.stop_asked = True


@contextmanager
def open_step(folder: Path, name: str, silent: bool = False) -> Iterator[RunningStep]:
    """Run the body as step `name` of the run in `folder`.

    Raises SystemExit with the code that the supervisor reads, unless the body ends well.
    """
    be_a_runner()
    try:
        step = RunningStep(RunFolder(folder), name, silent)
    except (Problem, OSError) as error:
        say(error)
        raise SystemExit(DISK_FULL_EXIT if _is_disk_full(error) else FAILED_EXIT) from None
    former = {
        each: signal.signal(each, step.ask_to_stop) for each in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield step
    except Stopped:
        say("stopped")
        raise SystemExit(STOPPED_EXIT) from None
    except Exception as error:
        raise SystemExit(_record_failure(step, error)) from error
    finally:
        step.close()
        for each, handler in former.items():
            signal.signal(each, handler)


def be_a_runner() -> None:
    """End with the supervisor, and before it where memory runs out."""
    _die_with_the_supervisor()
    _be_the_first_to_go()


def now() -> float:
    """Seconds of the monotonic clock that all processes of one boot share."""
    return time.monotonic()


def _record_failure(step: RunningStep, error: Exception) -> int:
    """Journal and print why the step gives up; returns its exit code."""
    code = FAILED_EXIT
    if isinstance(error, Problem):
        text = str(error)
    elif is_out_of_memory(error):
        text, code = f"out of memory: {_one_line(error)}", OUT_OF_MEMORY_EXIT
    elif _is_disk_full(error):
        place = getattr(error, "filename", None) or step.folder.path
        text, code = f"disk full: {place} could not be written", DISK_FULL_EXIT
    else:
        text = f"{type(error).__name__}: {_one_line(error)}"
        traceback.print_exception(error)
    with suppress(OSError):  # the disk may be what failed
        step.event(Failure(now(), step.name, text))
    say(text)
    return code


def _is_disk_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def _append(journal: JournalWriter, record: Record) -> None:
    try:
        journal.append(record)
    except OSError as error:
        error.filename = str(journal.path)
        raise


def _die_with_the_supervisor() -> None:
    """Have the kernel send SIGTERM when the parent dies: nobody would watch this run then.

    The kernel means the parent's thread that started us; a supervisor starts runners from its main
    thread. Where a launcher stands between both, it starts its processes in sessions of their own,
    which the supervisor does not reach: they end at once, or a resumed run would find them writing.
    """
    number = signal.SIGKILL if RANK in os.environ else signal.SIGTERM
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != _SUPERVISOR:  # it died before the kernel was asked
        say("stopped: the supervisor is gone")
        raise SystemExit(STOPPED_EXIT)


def _be_the_first_to_go() -> None:
    """Offer this process, not the supervisor, to the kernel when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def say(message: object) -> None:
    """A line in the run's log, where there is room for one: the exit code tells it, too."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - the run's log is stderr
