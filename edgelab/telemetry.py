"""Reading the board: CPU, frequency, temperature, memory, and the run's own processes.

Files of procfs and sysfs are read under a root that tests replace. psutil is used for the process
tree only: its thermal and frequency readings hide zones and caps.
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from edgelab.records import Sample

_CpuTimes = dict[int, tuple[int, int]]  # core: (busy, total) in ticks


class ProcessTree:
    """CPU and memory of a process and all its descendants."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu: dict[int, float] = {}
        self._at = time.monotonic()

    def read(self) -> tuple[float | None, int | None]:
        """CPU since the last reading (% of one core) and resident bytes; None when it is gone."""
        now, before = time.monotonic(), self._cpu
        self._cpu, memory = {}, 0
        for process in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self._cpu[process.pid] = times.user + times.system
                    memory += process.memory_info().rss
            except psutil.Error:
                continue
        spent = sum(used - before.get(pid, 0.0) for pid, used in self._cpu.items())
        elapsed, self._at = now - self._at, now
        if not self._cpu:
            return None, None
        return (100 * spent / elapsed if elapsed > 0 else None), memory

    def _processes(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []


class Board:
    """Samples the machine; the first sample has no CPU shares, which need two readings."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._cpu = self._cpu_times()
        self._zones = sorted(root.glob("sys/class/thermal/thermal_zone*"))
        self._policies = sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"))
        self._own_times = (time.monotonic(), time.process_time())

    def sample(self, runner: ProcessTree | None = None) -> Sample:
        """Read everything once."""
        memory = self._memory()
        runner_cpu, runner_memory = runner.read() if runner else (None, None)
        return Sample(
            t=time.monotonic(),
            cpu=self._cpu_shares(),
            frequency_mhz=self._frequencies(),
            temperatures=self._temperatures(),
            memory_used=_difference(memory.get("MemTotal"), memory.get("MemAvailable")),
            memory_total=memory.get("MemTotal"),
            swap_used=_difference(memory.get("SwapTotal"), memory.get("SwapFree")),
            runner_cpu=runner_cpu,
            runner_memory=runner_memory,
            supervisor_cpu=self._own_cpu(),
        )

    def memory_available(self) -> int | None:
        """Bytes that a new process can have without swapping, as the kernel estimates."""
        return self._memory().get("MemAvailable")

    def _own_cpu(self) -> float | None:
        """CPU of this process since the last sample, % of one core."""
        (wall, cpu), self._own_times = self._own_times, (time.monotonic(), time.process_time())
        elapsed = self._own_times[0] - wall
        return round(100 * (self._own_times[1] - cpu) / elapsed, 2) if elapsed > 0 else None

    def _cpu_times(self) -> _CpuTimes:
        times: _CpuTimes = {}
        for line in _lines(self._root / "proc/stat"):
            name, *ticks = line.split()
            if name.startswith("cpu") and name[3:].isdigit():
                values = [int(tick) for tick in ticks[:8]]
                idle = values[3] + values[4]
                times[int(name[3:])] = (sum(values) - idle, sum(values))
        return times

    def _cpu_shares(self) -> tuple[float, ...]:
        before, self._cpu = self._cpu, self._cpu_times()
        shares = []
        for core, (busy, total) in sorted(self._cpu.items()):
            busy_before, total_before = before.get(core, (busy, total))
            ticks = total - total_before
            shares.append(round(100 * (busy - busy_before) / ticks, 1) if ticks > 0 else 0.0)
        return tuple(shares)

    def _frequencies(self) -> tuple[float, ...]:
        values = [_number(policy / "scaling_cur_freq") for policy in self._policies]
        return tuple(value / 1000 for value in values if value is not None)

    def _temperatures(self) -> dict[str, float]:
        readings: dict[str, float] = {}
        for zone in self._zones:
            millidegrees = _number(zone / "temp")
            if millidegrees is not None:
                name = next(iter(_lines(zone / "type")), zone.name)
                readings[name if name not in readings else zone.name] = millidegrees / 1000
        return readings

    def _memory(self) -> dict[str, int]:
        """/proc/meminfo in bytes."""
        fields: dict[str, int] = {}
        for line in _lines(self._root / "proc/meminfo"):
            key, _, value = line.partition(":")
            fields[key] = int(value.split()[0]) * 1024
        return fields


def _difference(total: int | None, free: int | None) -> int | None:
    return None if total is None or free is None else total - free


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
