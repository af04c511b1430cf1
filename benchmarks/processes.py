"""Processes as a benchmark sees them: started, timed, and read from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgelab.launch import PYTHON_MODULE, child_environment

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Libraries that make a thread a core when they are imported are told not to."""

_CPU_CLOCK_OF_A_PROCESS = 2


@dataclass(frozen=True)
class Cost:
    """What a process took, from its start to its end, s."""

    wall_s: float
    cpu_s: float


def edgelab_command(*arguments: str) -> list[str]:
    """The `edgelab` command of this checkout."""
    return [*PYTHON_MODULE, "edgelab", *arguments]


def environment_of(home: Path, **changes: str) -> dict[str, str]:
    """Variables for a process of the lab in `home`."""
    return child_environment(EDGELAB_HOME=str(home), **ONE_THREAD, **changes)


def timed(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Cost:
    """Run a command to its end; raises CalledProcessError where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Cost(wall_s, used.ru_utime + used.ru_stime)


def run_program(name: str, *arguments: object, home: Path, **environment: str) -> dict[str, Any]:
    """Run one of `benchmarks.programs`; returns the JSON of its last line."""
    done = subprocess.run(
        [*PYTHON_MODULE, f"benchmarks.programs.{name}", *map(str, arguments)],
        env=environment_of(home, **environment),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def cpu_seconds(pid: int) -> float:
    """CPU time that all threads of a living process have had, exact to the nanosecond.

    The clock's number is made as clock_getcpuclockid(3) makes it.
    """
    return time.clock_gettime_ns(~pid << 3 | _CPU_CLOCK_OF_A_PROCESS) / 1e9


def resident_bytes(pid: int | str = "self", line: str = "VmRSS") -> int:
    """Memory of a process in RAM now; with `VmHWM` the most it ever had."""
    for each in Path(f"/proc/{pid}/status").read_text().splitlines():
        if each.startswith(f"{line}:"):
            return int(each.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/status: no {line}")


@dataclass
class CpuMeter:
    """The CPU share of a process between two readings, % of a core."""

    pid: int

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> float:
        """Since the last reading."""
        now, used = time.monotonic(), cpu_seconds(self.pid)
        before = getattr(self, "_before", (now, used))
        self._before = (now, used)
        elapsed = now - before[0]
        return 100 * (used - before[1]) / elapsed if elapsed else 0.0
