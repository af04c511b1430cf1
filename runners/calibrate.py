"""Calibrate the board: `python -m runners.calibrate [--threads N]`.

Measures for about a minute what this board attains in arithmetic, memory and disk, and leaves it in
`$EDGELAB_HOME/calibrations`. One line on stdout tells what is being measured; where it fails, the
last line on stderr tells why. A run and a calibration would spoil each other: it holds the lock of
the supervisor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgelab import environment
from edgelab.calibration import (
    CALIBRATION_VERSION,
    BoardState,
    Calibration,
    Rate,
    write_calibration,
)
from edgelab.durable import try_locked
from edgelab.home import Home
from edgelab.machine import usable_cores
from edgelab.problem import Problem, told
from edgelab.records import Sample
from edgelab.telemetry import Board
from runners.calibration.arithmetic import PreparedKernel, Sizes, kernels
from runners.calibration.disk import Chunks, DiskProblem, measure_disk
from runners.calibration.memory import array_bytes, last_level_cache, measure_memory
from runners.calibration.repeats import Budget

FAILED_EXIT = 1
BUSY_SHARE = 0.1
"""A board of which others use more than this does not show what it can do."""


@dataclass(frozen=True)
class Plan:
    """How long and how much is measured; `listen_s`: how long to look for other programs before."""

    budget: Budget = field(default_factory=Budget)
    sizes: Sizes = field(default_factory=Sizes)
    chunks: Chunks = field(default_factory=Chunks)
    memory_bytes: int | None = None
    listen_s: float = 1.0


@dataclass
class Calibrator:
    """One calibration, and what it has found so far."""

    home: Home
    threads: int
    plan: Plan = field(default_factory=Plan)
    say: Callable[[str], object] = lambda _: None
    left_out: dict[str, str] = field(default_factory=dict)

    def run(self) -> Calibration:
        """Measure everything; what cannot be measured is left out with a reason."""
        board, facts = Board(), environment.capture()
        started, wall = time.monotonic(), time.time()
        time.sleep(self.plan.listen_s)
        before = board.sample()
        rates = tuple(self._rates(board))
        after = board.sample()
        return Calibration(
            version=CALIBRATION_VERSION,
            board=facts.get("board", "unknown"),
            wall=wall,
            duration_s=time.monotonic() - started,
            threads=self.threads,
            rates=rates,
            environment=facts,
            before=_state(before),
            after=_state(after),
            cache_bytes=last_level_cache(),
            left_out=self.left_out,
            warnings=tuple(_warnings(before, after)),
        )

    def _rates(self, board: Board) -> Iterator[Rate]:
        """From the coolest test to the hottest."""
        yield from self._disk()
        size = self.plan.memory_bytes or array_bytes(last_level_cache(), board.memory_available())
        counts = sorted({1, self.threads})
        for threads in counts:
            self._tell("memory", threads)
            yield from measure_memory(threads, size, self.plan.budget)
        with tempfile.TemporaryDirectory(prefix="edgelab-calibrate-") as folder:
            provable = self._provable_kernels(Path(folder))
            for threads in counts:
                for kernel in provable:
                    self._tell(kernel.kernel.name, threads)
                    yield kernel.measure(threads, self.plan.budget)

    def _disk(self) -> Iterator[Rate]:
        self.say("disk")
        try:
            yield measure_disk(self.home.root, self.plan.chunks, self.plan.budget)
        except DiskProblem as problem:
            self.left_out["disk read"] = str(problem)

    def _provable_kernels(self, folder: Path) -> list[PreparedKernel]:
        """Those that the runtime computes in the format that they stand for."""
        provable = []
        for kernel in kernels(self.plan.sizes):
            prepared = PreparedKernel(kernel, folder)
            if prepared.problem is None:
                provable.append(prepared)
            else:
                self.left_out[kernel.name] = prepared.problem
        return provable

    def _tell(self, what: str, threads: int) -> None:
        self.say(f"{what}, {threads} {'thread' if threads == 1 else 'threads'}")


def main() -> None:
    """Read the command line, calibrate, write the result."""
    parser = argparse.ArgumentParser(description="Measure what this board attains.")
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    home = Home.default()
    try:
        with try_locked(home.supervisor_lock) as nobody_runs:
            if not nobody_runs:
                raise Problem("a run is on: calibrate when it is over")
            write_calibration(home, Calibrator(home, arguments.threads, say=_say).run())
    except (Problem, OSError, MemoryError) as error:
        sys.stderr.write(f"{told(error)}\n")
        raise SystemExit(FAILED_EXIT) from None


def _state(sample: Sample) -> BoardState:
    return BoardState(sample.frequency_mhz, sample.temperatures, sample.cooling)


def _warnings(before: Sample, after: Sample) -> Iterator[str]:
    """What spoils the figures."""
    busy = sum(before.cpu) / len(before.cpu) / 100 if before.cpu else 0.0
    if busy > BUSY_SHARE:
        yield (
            f"other programs used {100 * busy:.0f} % of the processor just before: "
            "the rates may be too low"
        )
    if slowed := [name for name, state in after.cooling.items() if state > 0]:
        yield f"the board was slowed down by heat at the end ({', '.join(slowed)})"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
