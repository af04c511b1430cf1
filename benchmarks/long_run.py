"""A run of 100,000 images: attaching to it, closing it, opening its replay."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.homes import scratch
from benchmarks.processes import run_program
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from tests.screens.recorded_run import RecordedRun

IMAGES = 100_000
ROUNDS = 3
SUPERVISOR_MB = 30
WORK = {
    "attach": "a console attaches to it",
    "close": "the supervisor closes it",
    "replay": "a console opens its replay and jumps to the end",
}


def measure(folder: Path) -> Section:
    """Each in a process of its own."""
    home = scratch(folder, "long")
    settings = DetectSettings(model="yolov8n-shapes", dataset="shapes")
    run = RecordedRun(home, settings=settings, images=IMAGES).queue().begin()
    run.start_pass(Precision.FP32).measure(Precision.FP32, 0, IMAGES)
    run.end_pass(Precision.FP32)
    run.close()
    rounds = [
        {what: run_program("long_run", run.folder.path, what, home=home.root) for what in WORK}
        for _ in range(ROUNDS)
    ]
    section = Section(
        f"A run of {IMAGES:,} images",
        "Its journals, as runner and supervisor write them, with a sample of the board a second; "
        f"{ROUNDS} rounds in turns. Memory: the most that a process had which has loaded what a "
        "supervisor loads, and how much of it the work added.",
    )
    rows = []
    for what, words in WORK.items():
        seconds, peak, more = (
            Spread.of(answers[what][key] / unit for answers in rounds)
            for key, unit in (("seconds", 1), ("peak_memory", 1e6), ("more_memory", 1e6))
        )
        rows.append((words, with_noise(seconds, ".2f"), f"{peak.median:.0f}", f"{more.median:.0f}"))
        if what == "close":
            name = f"supervisor closing {IMAGES:,} images, memory"
            section.budgets.append(Budget(name, SUPERVISOR_MB, peak, "MB", ".0f"))
    section.tables.append(Table(("", "s", "peak MB", "of these added MB"), tuple(rows)))
    return section
