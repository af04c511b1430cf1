"""Start-up: whole commands beside a bare interpreter, and the console's first paint."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.homes import fill, scratch
from benchmarks.processes import edgelab_command, environment_of, resident_bytes, timed
from benchmarks.terminal import Terminal
from edgelab.presets import QUICK_MODEL

STORED_RUNS = 1000
ROUNDS = 10
PAINTS = 5
SETTLED_S = 3.0

BARE = "python -c pass"
BOUNDS_S = {"--version": 0.15, "--help": 0.35, "runs": 0.35, "export last": 0.35}
FIRST_PAINT_BOUND_S = 0.8
MEMORY_BOUND_MB = 60

PANES = ("Model", "Dataset", "Settings", "Latency", "Board", "Results")
FIRST_VISIT = "Press b"


@dataclass(frozen=True)
class Opening:
    """One start of the console: s, s, bytes, bytes."""

    painted_s: float
    shown_s: float
    memory: int
    sent: int


def measure(folder: Path) -> Section:
    """All of it, on a lab of 1,000 runs."""
    full, empty = scratch(folder, "full"), scratch(folder, "empty")
    fill(full, STORED_RUNS)
    section = Section(
        "Start-up",
        f"A lab of {STORED_RUNS:,} stored runs, of three precisions and three thresholds each. "
        "Each command is a process of its own, from its start to its end, "
        f"{ROUNDS} times in turns with a bare interpreter. The console starts in a "
        f"pseudo-terminal of 120x40, {PAINTS} times, in turns with one on an empty lab. Its times "
        "run from the start of the process to the last byte of the first frame with all panes, and "
        "to the first one with the newest run. Memory (resident) and bytes are read "
        f"{SETTLED_S:g} s later.",
    )
    _commands(section, full.root)
    _console(section, full.root, empty.root)
    return section


def _commands(section: Section, home: Path) -> None:
    export = edgelab_command("export", "last", "--csv", str(home / "last.csv"))
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        "--version": edgelab_command("--version"),
        "--help": edgelab_command("--help"),
        "runs": edgelab_command("runs"),
        "export last": export,
    }
    environment = environment_of(home)
    for command in commands.values():  # compiles what is not compiled yet
        timed(command, environment, home)
    rounds = [
        {name: timed(command, environment, home) for name, command in commands.items()}
        for _ in range(ROUNDS)
    ]
    bare = Spread.of(costs[BARE].wall_s for costs in rounds)
    rows = []
    for name in commands:
        wall = Spread.of(costs[name].wall_s for costs in rounds)
        cpu = Spread.of(costs[name].cpu_s for costs in rounds)
        shown = name if name == BARE else f"edgelab {name}"
        ratio = f"{wall.over(bare).median:.1f}"
        rows.append((shown, with_noise(wall, ".3f"), ratio, with_noise(cpu, ".3f")))
        if name in BOUNDS_S:
            section.budgets.append(Budget(f"`{shown}`", BOUNDS_S[name], wall, "s", ".3f"))
    section.tables.append(Table(("command", "wall s", "x bare", "CPU s"), tuple(rows)))


def _console(section: Section, full: Path, empty: Path) -> None:
    newest = f"{STORED_RUNS} {QUICK_MODEL}"
    pairs = [(_open(full, newest), _open(empty, FIRST_VISIT)) for _ in range(PAINTS)]
    runs, none = zip(*pairs, strict=True)
    painted = Spread.of(each.painted_s for each in runs)
    memory = Spread.of(each.memory / 1e6 for each in runs)
    section.budgets += [
        Budget("first paint", FIRST_PAINT_BOUND_S, painted, "s", ".3f"),
        Budget("console, resident memory", MEMORY_BOUND_MB, memory, "MB", ".1f"),
    ]
    quantities: list[tuple[str, Callable[[Opening], float], str]] = [
        ("first frame with all panes, s", lambda each: each.painted_s, ".3f"),
        ("first frame with the lab's state, s", lambda each: each.shown_s, ".3f"),
        ("resident memory, MB", lambda each: each.memory / 1e6, ".1f"),
        ("sent to the terminal, KB", lambda each: each.sent / 1e3, ".1f"),
    ]
    rows = tuple(
        (what, *(with_noise(Spread.of(map(value, each)), spec) for each in (none, runs)))
        for what, value, spec in quantities
    )
    section.tables.append(Table(("console", "no run", f"{STORED_RUNS:,} runs"), rows))


def _open(home: Path, state: str) -> Opening:
    with Terminal(edgelab_command(), environment_of(home), home) as terminal:
        painted = terminal.wait_for(*PANES)
        shown = terminal.wait_for(state)
        terminal.listen(SETTLED_S)
        return Opening(painted, shown, resident_bytes(terminal.pid), len(terminal.received))
