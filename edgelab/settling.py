"""Runs that nobody will end, ended: stopped while they waited, or left by a supervisor that died.

Whoever opens a lab does this, a console too, so it needs nothing of what a supervisor carries.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from edgelab import environment
from edgelab.home import Home
from edgelab.outcome import end_run
from edgelab.queue import dequeue, queued
from edgelab.reader import LiveRun
from edgelab.records import Outcome
from edgelab.run_folder import RunFolder

log = logging.getLogger("edgelab.settling")

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def settle_queue(home: Home, besides: RunFolder | None = None) -> None:
    """End the runs of the queue that need no runner: stopped while waiting, or left by the dead."""
    for folder in queued(home):
        if besides is None or folder.id != besides.id:
            set_aside_if_broken(home, folder, partial(_settle, home, folder))


def set_aside_if_broken(home: Home, folder: RunFolder, act: Callable[[], None]) -> None:
    """Do something with one run. Whatever is wrong with its folder must not stop the others."""
    try:
        act()
    except OSError as error:
        if error.errno in NO_ROOM:
            raise  # that is no fault of the run
        _set_aside(home, folder, error)
    except Exception as error:
        _set_aside(home, folder, error)


def _settle(home: Home, folder: RunFolder) -> None:
    if folder.begun:
        if not _is_watched(folder):
            end_run(home, folder, Outcome.INTERRUPTED, _why_interrupted(folder))
    elif folder.stop_request.exists():
        end_run(home, folder, Outcome.STOPPED, "stopped while waiting in the queue")


def _set_aside(home: Home, folder: RunFolder, error: Exception) -> None:
    log.warning("run %s is taken out of the queue: %s: %s", folder.id, type(error).__name__, error)
    dequeue(home, folder.id)


def _is_watched(folder: RunFolder) -> bool:
    """Whether its supervisor lives after all: somebody may have removed the lock file."""
    live = LiveRun(folder)
    live.advance()
    started = live.projection.started
    if started is None or started.boot_id != environment.boot_id():
        return False
    return started.supervisor_pid != os.getpid() and _is_supervisor(started.supervisor_pid)


def _why_interrupted(folder: RunFolder) -> str:
    """Say why nobody ended the run; a runner that outlived its supervisor is ended here."""
    live = LiveRun(folder)
    live.advance()
    started = live.projection.started
    if started is not None and started.boot_id != environment.boot_id():
        return "the machine went down during the run"
    end_orphan(live.projection.runner_pid, folder)
    return "the supervisor died during the run"


def _is_supervisor(pid: int) -> bool:
    """Whether that process is a living supervisor of some lab."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"edgelab.supervisor" in command


def end_orphan(pid: int | None, folder: RunFolder) -> None:
    """Kill the runner of `folder` where it outlived its supervisor; never another's process."""
    if pid is None:
        return
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ours = os.fsencode(folder.path)
        # python -P -m <module> <run folder> ...: a pager on one of its files is none of ours.
        if len(command) > 4 and command[1:3] == [b"-P", b"-m"] and command[4] == ours:
            os.killpg(pid, signal.SIGKILL)
