"""What one reading of a board costs, on trees of kernel files of several boards."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.figures import Section, Spread, Table, with_noise
from edgelab.telemetry import Board
from edgelab.telemetry.process_tree import ProcessTree
from tests.boards import BOARDS, build

ROUNDS = 7
SAMPLES = 50
LONGER_THAN_ANY_PERIOD_S = 60.0


def measure(folder: Path) -> Section:
    """All sensors of each board, read every time."""
    section = Section(
        "Telemetry",
        "One sample with every sensor due, on copies of the boards' kernel files on this machine's "
        f"disk: real sysfs files cost the kernel more. Means of {SAMPLES} samples, {ROUNDS} rounds "
        "in turns over the boards. The supervisor takes one a second: 10 ms of CPU are 1 % of a "
        "core. The process tree (psutil) is that of a runner without children.",
    )
    boards = {
        name: _Sampler(build(folder / str(index), files))
        for index, (name, files) in enumerate(BOARDS.items())
    }
    rounds = [{name: board.cpu_ms() for name, board in boards.items()} for _ in range(ROUNDS)]
    rows = tuple(
        (name, str(len(board.board.sensors)),
         with_noise(Spread.of(costs[name] for costs in rounds), ".2f"))
        for name, board in boards.items()
    )  # fmt: skip
    section.tables.append(Table(("board", "sensors", "CPU ms a sample"), rows))
    return section


class _Sampler:
    """A board whose clock jumps, so that no sensor rests on its last reading."""

    def __init__(self, root: Path) -> None:
        self._now = 0.0
        self.board = Board(root=root, home=root, monotonic=lambda: self._now)
        self._tree = ProcessTree(os.getpid())

    def cpu_ms(self) -> float:
        """CPU of a sample, ms, mean over some."""
        started = time.process_time()
        for _ in range(SAMPLES):
            self._now += LONGER_THAN_ANY_PERIOD_S
            self.board.sample(self._tree)
        return 1000 * (time.process_time() - started) / SAMPLES
