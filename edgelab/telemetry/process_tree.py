"""CPU and memory of a process and all its descendants."""

from __future__ import annotations

import time

import psutil

from edgelab.telemetry.usage import Usage


class ProcessTree:
    """Follows a process and its children; what a child used is kept when the child is gone."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu: dict[int, float] = {}
        self._faults: dict[int, int] = {}
        self._at = time.monotonic()
        self._last_word: float | None = None

    def read(self) -> Usage:
        """Read the tree once; an empty Usage when it is gone."""
        now, before = time.monotonic(), self._cpu
        if self._last_word is not None:
            return self._read_last(now)
        self._cpu, memory = {}, 0
        for process in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self._cpu[process.pid] = times.user + times.system
                    memory += process.memory_info().rss
                    self._faults[process.pid] = _major_faults(process.pid)
            except (psutil.Error, OSError):
                continue
        elapsed, self._at = now - self._at, now
        if not self._cpu:
            return Usage()
        spent = sum(used - before.get(pid, 0.0) for pid, used in self._cpu.items())
        cpu = round(100 * spent / elapsed, 1) if elapsed > 0 else None
        return Usage(cpu, memory, sum(self._faults.values()))

    def ended(self, cpu_seconds: float) -> None:
        """The process is gone; `cpu_seconds`: all that it and its children ever used."""
        self._last_word = cpu_seconds

    def _read_last(self, now: float) -> Usage:
        spent = max(0.0, (self._last_word or 0.0) - sum(self._cpu.values()))
        elapsed, self._at = now - self._at, now
        self._cpu = {self._pid: self._last_word or 0.0}
        cpu = round(100 * spent / elapsed, 1) if elapsed > 0 else None
        return Usage(cpu=cpu, major_faults=sum(self._faults.values()))

    def _processes(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []


def _major_faults(pid: int) -> int:
    """Pages that had to come from the disk; psutil does not give them."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # Fields are counted behind the name, which may itself hold spaces and brackets.
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[9])
