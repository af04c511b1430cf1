from __future__ import annotations

import signal
from pathlib import Path

import pytest

from edgelab.death import OutOfMemoryCounts, explain, last_lines, said_failure
from edgelab.journal import JournalWriter
from edgelab.records import Failure, Outcome, Progress

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


def test_a_journalled_reason_stands_before_what_libraries_print_at_their_end(
    tmp_path: Path,
) -> None:
    log, events = tmp_path / "log.txt", tmp_path / "events.jsonl"
    log.write_text("no row of truth.csv names an image\nleaked semaphore\nwarnings.warn(\nbye\n")
    with JournalWriter(events) as journal:
        journal.append(Failure(t=1.0, step="prepare", text="of the attempt before"))
        journal.append(Failure(t=7.0, step="prepare", text="no row of truth.csv names an image"))
        journal.append(Progress(t=7.1, step="prepare", done=1))
    said = said_failure(events, "prepare", since=5.0)
    assert explain(1, log, QUIET, QUIET, said).reason == "no row of truth.csv names an image"
    for step, since in (("prepare", 8.0), ("fp32", 5.0)):
        assert said_failure(events, step, since) == ""
    assert explain(1, log, QUIET, QUIET).reason.endswith("warnings.warn(\nbye")
