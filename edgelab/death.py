"""How a runner died, and how sure we are."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgelab.records import Event, Failure, Outcome
from edgelab.schema import UNREADABLE
from edgelab.steps import DISK_FULL_EXIT, OUT_OF_MEMORY_EXIT

_LAST_LINES = 3
_FLUSH_FAILED_EXIT = 120
"""Python's own exit code when the last words of a program could not be written to its log."""

_TAIL_BYTES = 8192


@dataclass(frozen=True)
class OutOfMemoryCounts:
    """How often the kernel killed for memory: in our control group, on the whole machine."""

    group: int | None
    machine: int | None

    @staticmethod
    def read(root: Path = Path("/")) -> OutOfMemoryCounts:
        """The counts now; None where the kernel does not tell."""
        return OutOfMemoryCounts(
            group=_group_count(root),
            machine=_value(root / "proc/vmstat", "oom_kill"),
        )


@dataclass(frozen=True)
class Death:
    """What became of a runner process; `reason` is one sentence."""

    outcome: Outcome
    reason: str = ""

    def in_stage(self, stage: str) -> Death:
        """The same, with the stage that memory ran out in; other deaths keep their words."""
        if not stage or self.outcome not in (Outcome.OUT_OF_MEMORY, Outcome.OUT_OF_MEMORY_LIKELY):
            return self
        return Death(self.outcome, f"{self.reason}, in the stage {stage}")


def explain(
    status: int, log: Path, before: OutOfMemoryCounts, after: OutOfMemoryCounts, said: str = ""
) -> Death:
    """Tell the deaths apart. `status`: exit code, or minus the signal, as subprocess gives it.

    `said`: why the runner gave up, where it could journal that (`said_failure`).
    """
    if status == 0:
        return Death(Outcome.FINISHED)
    if status == OUT_OF_MEMORY_EXIT:
        return Death(Outcome.OUT_OF_MEMORY, "the runner could not get the memory it asked for")
    if status in (DISK_FULL_EXIT, _FLUSH_FAILED_EXIT):
        return Death(Outcome.FAILED, "the disk is full: free some room and run it again")
    if status == 128 + signal.SIGTERM:
        return Death(Outcome.KILLED, "ended by SIGTERM, by whom is not known")
    if status > 0:
        return Death(Outcome.FAILED, said or last_lines(log) or f"exit code {status}")
    if status == -signal.SIGKILL:
        return _killed(before, after)
    return Death(Outcome.KILLED, f"killed by {_signal_name(-status)}")


def said_failure(events: Path, step: str, since: float) -> str:
    """Why `step` gave up, by its journal from `since` on; empty where it could not say.

    What libraries print at their end stands behind the reason in the log, never in the journal.
    """
    for line in reversed(_tail(events)):
        with suppress(*UNREADABLE):
            record = msgspec.json.decode(line, type=Event)
            if isinstance(record, Failure) and record.step == step and record.t >= since:
                return record.text
    return ""


def last_lines(log: Path) -> str:
    """The last lines that the runner printed, where a traceback has its reason."""
    return "\n".join(_tail(log)[-_LAST_LINES:])


def _tail(path: Path) -> list[str]:
    """The last lines of a file that are not empty; the first of them may be a piece of one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _killed(before: OutOfMemoryCounts, after: OutOfMemoryCounts) -> Death:
    if _rose(before.group, after.group):
        return Death(
            Outcome.OUT_OF_MEMORY, "the kernel killed it for memory (counted in its control group)"
        )
    if _rose(before.machine, after.machine):
        return Death(
            Outcome.OUT_OF_MEMORY_LIKELY,
            "killed while the kernel was killing for memory on this machine",
        )
    return Death(Outcome.KILLED, "killed by SIGKILL, by whom is not known")


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _group_count(root: Path) -> int | None:
    """`oom_kill` of our control group: version 2, else the memory controller of version 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    groups = root / "sys/fs/cgroup"
    if "memory" in paths:
        old = groups / "memory" / paths["memory"].lstrip("/")
        return _value(old / "memory.oom_control", "oom_kill")
    return _value(groups / paths.get("", "/").lstrip("/") / "memory.events", "oom_kill")


def _value(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(" ")
        if name == key and value.strip().isdigit():
            return int(value)
    return None
