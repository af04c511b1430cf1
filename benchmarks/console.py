"""The console at rest and watching a run that never ends; the supervisor meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.detectors import yolov8n
from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.homes import endless_run, fill, scratch
from benchmarks.processes import CpuMeter, edgelab_command, environment_of, resident_bytes
from benchmarks.terminal import Terminal
from edgelab.home import Home
from edgelab.presets import QUICK_DATASET, QUICK_MODEL
from edgelab.reader import LiveRun
from edgelab.settings.detect import DetectSettings

STORED_RUNS = 1000
SETTLE_S = 4.0
WINDOWS = 4
WINDOW_S = 5.0

IDLE_CPU, WATCHING_CPU, SUPERVISOR_CPU = 0.5, 3.0, 1.0
WATCHING_BYTES, LOW_BYTES = 6000, 2000
CONSOLE_MB, SUPERVISOR_MB = 60, 30

_PANES = ("Latency", "Board", "Results")


@dataclass(frozen=True)
class Watched:
    """Some windows of a console: % of a core, bytes a second, its memory at the end in bytes."""

    cpu: Spread
    sent: Spread
    memory: int
    supervisor_cpu: Spread | None = None
    supervisor_memory: int | None = None
    images_per_s: float | None = None

    def row(self, what: str) -> tuple[str, ...]:
        """As a row of the table."""
        images = "–" if self.images_per_s is None else f"{self.images_per_s:.0f}"
        supervisor = "–" if self.supervisor_cpu is None else f"{self.supervisor_cpu:.2f}"
        memory = "–" if self.supervisor_memory is None else f"{self.supervisor_memory / 1e6:.1f}"
        return (
            what, images, with_noise(self.cpu, ".2f"), with_noise(self.sent, ".0f"),
            f"{self.memory / 1e6:.1f}", supervisor, memory,
        )  # fmt: skip


def measure(folder: Path) -> Section:
    """At rest; watching many small images; watching few large ones."""
    section = Section(
        "Console and supervisor",
        f"A console in a pseudo-terminal of 120x40 on a lab of {STORED_RUNS:,} stored runs; "
        f"{WINDOWS} windows of {WINDOW_S:g} s, after {SETTLE_S:g} s to settle. The runs watched "
        "are real, detached and without end, of one thread: the shipped detector on shapes, and "
        "YOLOv8n at 640 px, whose rate is nearer to a board's. CPU is % of one core, from the "
        "process's own CPU clock; bytes are those that leave the pseudo-terminal.",
    )
    home = scratch(folder, "console")
    fill(home, STORED_RUNS)
    idle = _watch(home.root, ())
    rows = [idle.row("at rest")]
    section.budgets += [
        Budget("console at rest, CPU", IDLE_CPU, idle.cpu, "%"),
        Budget("console at rest, sent", 0, idle.sent, "bytes/s", ".0f"),
    ]
    small = DetectSettings(model=QUICK_MODEL, dataset=QUICK_DATASET, threads=1)
    model, photos = yolov8n(folder)
    large = DetectSettings(model=str(model), dataset=str(photos), threads=1)
    for name, settings in (("192 px", small), ("640 px", large)):
        rows += _during(section, home, settings, name)
    titles = (
        "console", "images/s", "CPU %", "bytes/s", "memory MB", "supervisor CPU %", "memory MB",
    )  # fmt: skip
    section.tables.append(Table(titles, tuple(rows)))
    return section


def _during(
    section: Section, home: Home, settings: DetectSettings, name: str
) -> list[tuple[str, ...]]:
    with endless_run(home, settings) as live:
        normal = _watch(home.root, (), live)
        low = _watch(home.root, ("--low-bandwidth",), live)
    assert normal.supervisor_cpu is not None
    assert normal.supervisor_memory is not None
    supervisor = Spread((normal.supervisor_memory / 1e6,))
    console = Spread((normal.memory / 1e6,))
    section.budgets += [
        Budget(f"console watching {name}, CPU", WATCHING_CPU, normal.cpu, "%"),
        Budget(f"console watching {name}, sent", WATCHING_BYTES, normal.sent, "bytes/s", ".0f"),
        Budget(f"console watching {name}, memory", CONSOLE_MB, console, "MB", ".1f"),
        Budget(f"low bandwidth, {name}, sent", LOW_BYTES, low.sent, "bytes/s", ".0f"),
        Budget(f"supervisor, {name}, CPU", SUPERVISOR_CPU, normal.supervisor_cpu, "%"),
        Budget(f"supervisor, {name}, memory", SUPERVISOR_MB, supervisor, "MB", ".1f"),
    ]
    return [normal.row(f"watching {name}"), low.row("the same, --low-bandwidth")]


def _watch(home: Path, options: Sequence[str], live: LiveRun | None = None) -> Watched:
    """Open a console and measure it; with a run, its supervisor too."""
    with Terminal(edgelab_command(*options), environment_of(home), home) as terminal:
        terminal.wait_for(*_PANES)
        terminal.listen(SETTLE_S)
        console = CpuMeter(terminal.pid)
        supervisor = _supervisor(live)
        done = _done(live)
        cpu, sent, above = [], [], []
        for _ in range(WINDOWS):
            sent.append(terminal.listen(WINDOW_S) / WINDOW_S)
            cpu.append(console.read())
            if supervisor is not None:
                above.append(supervisor.read())
        images = (_done(live) - done) / (WINDOWS * WINDOW_S)
        return Watched(
            Spread.of(cpu),
            Spread.of(sent),
            resident_bytes(terminal.pid),
            Spread.of(above) if supervisor is not None else None,
            resident_bytes(supervisor.pid) if supervisor is not None else None,
            images if live is not None else None,
        )


def _supervisor(live: LiveRun | None) -> CpuMeter | None:
    if live is None:
        return None
    assert live.projection.started is not None
    return CpuMeter(live.projection.started.supervisor_pid)


def _done(live: LiveRun | None) -> int:
    if live is None:
        return 0
    live.advance()
    return live.projection.done
