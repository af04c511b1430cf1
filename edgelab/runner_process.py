"""A runner as the supervisor sees it: a process group to wait for and to signal."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress

from edgelab.launch import CLOCK_SHIFT, PYTHON_MODULE, child_environment
from edgelab.run_folder import RunFolder
from edgelab.steps import Step


class RunnerProcess:
    """One step of a run as a process group of its own, its output in the run's log."""

    def __init__(self, step: Step, folder: RunFolder, shift_s: float = 0.0) -> None:
        command = [*PYTHON_MODULE, step.module, str(folder.path), *step.arguments]
        with folder.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                env=child_environment(**{CLOCK_SHIFT: repr(shift_s)}),
                start_new_session=True,
            )
        self.pid = self._process.pid
        # What it and its own children used in all; known once it has ended.
        self.cpu_seconds = 0.0
        self._pidfd = os.pidfd_open(self.pid)

    def wait(self, seconds: float) -> int | None:
        """Sleep until it ends or time is up; its status, None while it lives."""
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        poller.poll(max(0.0, seconds) * 1000)
        if self._process.returncode is None:
            self._reap(os.WNOHANG)
        return self._process.returncode

    def _reap(self, options: int) -> None:
        """Take the status ourselves: with it comes what the process used, which Popen drops."""
        pid, status, usage = os.wait4(self.pid, options)
        if pid:
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds = usage.ru_utime + usage.ru_stime

    def signal(self, number: int) -> None:
        """Send a signal to it and all its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def close(self) -> None:
        """Leave nothing of it behind."""
        self.signal(signal.SIGKILL)
        if self._process.returncode is None:
            self._reap(0)
        os.close(self._pidfd)
