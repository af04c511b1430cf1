from __future__ import annotations

import signal
from pathlib import Path

import pytest

from edgelab.death import OutOfMemoryCounts, explain, last_lines
from edgelab.records import Outcome

QUIET = OutOfMemoryCounts(group=3, machine=5)


def tree(root: Path, group: int | None, machine: int) -> Path:
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text("0::/user.slice/run-1.scope\n")
    (root / "proc/vmstat").write_text(f"pgfault 1\noom_kill {machine}\n")
    folder = root / "sys/fs/cgroup/user.slice/run-1.scope"
    folder.mkdir(parents=True, exist_ok=True)
    if group is not None:
        (folder / "memory.events").write_text(f"low 0\noom 1\noom_kill {group}\n")
    return root


def test_counts_are_read_from_the_own_group_and_the_machine(tmp_path: Path) -> None:
    assert OutOfMemoryCounts.read(tree(tmp_path, 2, 7)) == OutOfMemoryCounts(2, 7)


def test_a_kernel_that_does_not_tell_gives_none(tmp_path: Path) -> None:
    assert OutOfMemoryCounts.read(tmp_path) == OutOfMemoryCounts(None, None)


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (OutOfMemoryCounts(4, 6), Outcome.OUT_OF_MEMORY),
        (OutOfMemoryCounts(3, 6), Outcome.OUT_OF_MEMORY_LIKELY),
        (OutOfMemoryCounts(None, 6), Outcome.OUT_OF_MEMORY_LIKELY),
        (OutOfMemoryCounts(3, 5), Outcome.KILLED),
        (OutOfMemoryCounts(None, None), Outcome.KILLED),
    ],
)
def test_a_kill_is_called_what_can_be_proven(
    tmp_path: Path, after: OutOfMemoryCounts, outcome: Outcome
) -> None:
    death = explain(-signal.SIGKILL, tmp_path / "log.txt", QUIET, after)
    assert death.outcome is outcome
    assert death.reason


def test_the_last_lines_of_a_long_log_are_found(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * 100_000 + b"\n\xff\n\nTraceback\n  line\nValueError: bad\n\n")
    assert last_lines(log) == "Traceback\n  line\nValueError: bad"
    assert last_lines(tmp_path / "none") == ""
