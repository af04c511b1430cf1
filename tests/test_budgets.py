"""Budgets that no machine can change: what is imported, written and sent. No clock is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from edgelab import journal
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.lab import Lab
from edgelab.launch import child_environment
from edgelab.queue import enqueue
from edgelab.records import Outcome, Sample
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.store import read_record
from runners.step import RunningStep
from screens import app
from screens.app import Console
from screens.face import Face
from screens.lab import LabScreen
from tests.recorded import make_item
from tests.runners.colour_detector import build_detector, some_cells, write_cells
from tests.screens.conftest import settle
from tests.screens.recorded_run import RecordedRun

ML = {
    "torch", "torchvision", "transformers", "ultralytics", "timm", "onnx", "onnxruntime", "cv2",
    "numpy",
}  # fmt: skip

# Imports --------------------------------------------------------------------------------------


def imported(program: str, *arguments: str) -> set[str]:
    """Top-level modules in a new process once it has run `program`."""
    program += "\nimport sys; print('modules:', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        env=child_environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "modules:"
    return {name.partition(".")[0] for name in last[1:]}


def foreign(program: str, *arguments: str) -> set[str]:
    """Those that are neither Python's own nor there in any process of this environment."""
    return imported(program, *arguments) - imported("pass") - set(sys.stdlib_module_names)


COMMAND = "from edgelab.__main__ import main\ntry: main()\nexcept SystemExit: pass"


@pytest.fixture
def one_run(home: Home) -> Home:
    """A lab with one run that is over."""
    RecordedRun(home).complete()
    return home


def test_version_imports_nothing_but_edgelab() -> None:
    assert foreign(COMMAND, "--version") == {"edgelab"}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("runs",), ("export", "last", "--csv", "-"), ("show", "last")]
)
def test_commands_import_neither_the_console_nor_ml_libraries(
    one_run: Home, arguments: tuple[str, ...]
) -> None:
    modules = foreign(COMMAND, *arguments)
    assert "edgelab" in modules
    assert not modules & (ML | {"textual", "rich", "screens", "runners", "yaml"})


def test_a_console_that_is_used_imports_no_ml_library(one_run: Home) -> None:
    program = """
from edgelab.home import Home
from edgelab.lab import Lab
from screens.app import Console
async def use(pilot):
    for key in ("a", "enter", "2", "3", "4", "space", "escape", "escape", "question_mark", "l"):
        await pilot.press(key)
        await pilot.pause()
    pilot.app.exit("left")
assert Console(Lab(Home.default())).run(headless=True, size=(120, 40), auto_pilot=use) == "left"
"""
    modules = foreign(program)
    assert {"textual", "screens", "edgelab", "msgspec"} <= modules
    assert not modules & (ML | {"runners"})


def test_a_console_is_imported_without_openssl_and_leaves_it_to_others() -> None:
    program = """
import sys
from edgelab.cli.console import import_console
import_console()
early = {"ssl", "_ssl", "hashlib", "_hashlib", "zipfile"} & set(sys.modules)
assert not early, early
import asyncio, ssl
ssl.create_default_context()
"""
    assert {"screens", "asyncio", "ssl"} <= imported(program)


def test_a_supervisor_that_has_run_a_run_imports_no_ml_library_and_no_console(
    home: Home, tmp_path: Path
) -> None:
    model = build_detector(tmp_path / "colours.onnx")
    write_cells(tmp_path / "images" / "0.png", some_cells(0, 3))
    settings = DetectSettings(
        model=str(model), dataset=str(tmp_path / "images"), threads=1, repetitions=100
    )
    folder = RunFolder(home.runs / "00000001")
    folder.path.mkdir(parents=True)
    folder.write_spec(RunSpec(SPEC_VERSION, folder.id, 1, "test", 0.0, settings))
    enqueue(home, 1, folder.id)
    modules = foreign("from edgelab import supervisor; supervisor.main()")
    assert read_record(folder).outcome is Outcome.FINISHED
    assert {"edgelab", "psutil", "msgspec"} <= modules
    assert not modules & (ML | {"runners", "screens", "textual", "rich"})


def test_the_measuring_process_imports_what_it_measures_with_and_no_more() -> None:
    modules = foreign("import runners.detect")
    assert {"cv2", "onnxruntime", "numpy", "msgspec"} <= modules
    assert not modules & {
        "torch", "onnx", "ultralytics", "textual", "rich", "tinydb", "psutil", "yaml", "PIL",
    }  # fmt: skip


def test_a_package_that_runs_code_of_a_hub_is_not_there_for_runners(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text("raise SystemExit('the hub was asked')")
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import runners
from importlib.util import find_spec
assert find_spec("kernels") is None
try: from kernels import get_kernel
except ImportError: pass
"""
    imported(program)


# Writes ---------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often journals asked the kernel to write and to wait for the disk."""
    counted = {"write": 0, "fsync": 0}
    for name in counted:
        monkeypatch.setattr(journal.os, name, counting(counted, name, getattr(os, name)))
    return counted


def counting(counted: dict[str, int], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def counting_call(*arguments: Any) -> Any:
        counted[name] += 1
        return call(*arguments)

    return counting_call


def test_an_item_is_one_write_and_waits_for_no_disk(
    home: Home, tmp_path: Path, calls: dict[str, int]
) -> None:
    RecordedRun(home).queue()
    (folder,) = (RunFolder(path) for path in home.runs.iterdir())
    step = RunningStep(folder, "fp32")
    step.item(make_item(0, t=1000.0))
    before = dict(calls)
    for index in range(1, 101):
        step.item(make_item(index, t=1000.0 + index / 100))
    assert calls["write"] - before["write"] == 100
    assert calls["fsync"] == before["fsync"]
    step.close()
    assert calls["fsync"] > before["fsync"]
    assert len(folder.items.read_bytes().splitlines()) == 1 + 101


def test_a_telemetry_sample_is_one_write(tmp_path: Path, calls: dict[str, int]) -> None:
    with JournalWriter(tmp_path / "telemetry.jsonl") as writer:
        before = dict(calls)
        writer.append(Sample(t=1.0, cpu=(1.0,) * 4, temperatures={"soc-thermal": 44.0}))
        assert calls == {**before, "write": before["write"] + 1}


def test_the_index_keeps_few_bytes_of_a_run(one_run: Home) -> None:
    """Of three precisions at three thresholds: each change of the index rewrites all of it."""
    (document,) = json.loads(one_run.index.read_bytes())["runs"].values()
    assert len(json.dumps(document, separators=(",", ":"))) < 8000


# Bytes to the terminal ------------------------------------------------------------------------

SECONDS_A_TICK = {False: 0.5, True: 2.0}
BYTES_A_SECOND = {False: 6000, True: 2000}
"""By `--low-bandwidth`, as the face and the design have them."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each write to the terminal."""
    sizes: list[int] = []
    monkeypatch.setattr(HeadlessDriver, "is_headless", property(lambda _: False))
    monkeypatch.setattr(HeadlessDriver, "write", lambda _, text: sizes.append(len(text.encode())))
    monkeypatch.setattr(app, "LOOK_PERIOD_S", 1e6)
    return sizes


@pytest.fixture
def running(home: Home) -> Iterator[RecordedRun]:
    """A run in mid-pass; an image takes it about 10 ms."""
    run = RecordedRun(home, images=3000).queue().begin().start_pass(Precision.FP32)
    yield run.measure(Precision.FP32, 0, 200)
    run.close()


@pytest.mark.parametrize("low_bandwidth", [False, True])
async def test_bytes_of_ticks(running: RecordedRun, sent: list[int], low_bandwidth: bool) -> None:
    face = Face.of(ascii_only=False, low_bandwidth=low_bandwidth)
    assert face.tick_s == SECONDS_A_TICK[low_bandwidth]
    console = Console(
        Lab(running.home),
        replace(face, tick_s=1e6),  # it ticks when the test says so
        board=lambda: Sample(t=1.0, cpu=(1.0, 2.0)),
        clock=lambda: datetime(2026, 5, 29, 9, 30, 5),
    )
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        assert lab.live is not None
        assert sum(sent) > 10_000, "the first frames are counted"

        sent.clear()
        for _ in range(5):
            lab.tick()
            await pilot.pause()
        assert sent == [], "a tick without news sends nothing"

        begun, done = running.t, 200
        while running.t < begun + 20:
            due = running.t + face.tick_s
            while running.t < due:
                running.measure(Precision.FP32, done, done + 1)
                done += 1
            lab.tick()
            await pilot.pause()
        assert len(sent) > 5
        assert sum(sent) / (running.t - begun) <= BYTES_A_SECOND[low_bandwidth]
