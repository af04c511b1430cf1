"""Consoles on a lab of their own, with the board, the clock and the catalogue held still."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

import profiles as profiles_package
from edgelab import catalogue, lab, presets, results
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.records import Sample
from screens import app, columns, settings
from screens.app import Console
from screens.face import Face
from tests.screens.recorded_run import RecordedRun

BOARD = Sample(
    t=5.0,
    cpu=(12.0, 3.0, 0.0, 7.0),
    frequency_mhz=(1800.0,),
    temperatures={"soc-thermal": 43.6, "gpu-thermal": 41.2},
    memory_used=900_000_000,
    memory_total=3_900_000_000,
)
NOW = datetime(2026, 5, 29, 9, 30, 5)

COLUMNS = (
    "model", "precision", "outcome", "threshold", "gt_count", "pred_count", "mae_mean", "mse_mean",
    "latency_p50_ms", "latency_p90_ms", "images_per_s", "peak_memory_mb", "model_mb", "dataset",
)  # fmt: skip

MODEL = """
schema_version = 1
title = "YOLOv8n on shapes"
task = "detect"
family = "yolo"
file = "model.onnx"
"""
DATASET = """
schema_version = 1
kind = "generated"
title = "Shapes"
generator = "shapes"
"""


def write_profiles(root: Path, models: dict[str, str], datasets: dict[str, str]) -> None:
    for name, text in models.items():
        folder = root / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.toml").write_text(text)
        (folder / "model.onnx").write_bytes(bytes(3_600_000))
    (root / "datasets").mkdir(parents=True, exist_ok=True)
    for name, text in datasets.items():
        (root / "datasets" / f"{name}.toml").write_text(text)


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """What stands for the shipped profiles."""
    root = tmp_path / "shipped"
    write_profiles(root, {"yolov8n-shapes": MODEL}, {"shapes": DATASET})
    shutil.copytree(Path(profiles_package.__path__[0]) / "references", root / "references")
    return root


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, profiles: Path) -> None:
    """Nothing on screen depends on this machine, its clock or its catalogue."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(catalogue, "shipped_profiles", lambda: profiles)
    monkeypatch.setattr(presets, "usable_cores", lambda: 4)
    monkeypatch.setattr(settings, "usable_cores", lambda: 4)
    # Which columns a result has is not the screens' business.
    shown = [column for column in results.SHOWN if column.name in COLUMNS]
    monkeypatch.setattr(columns, "SHOWN", shown)
    # The lab is looked at when a test says so.
    monkeypatch.setattr(app, "LOOK_PERIOD_S", 1e6)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Home]:
    """No supervisor is started; the homes for which one was asked for."""
    asked: list[Home] = []
    monkeypatch.setattr(lab, "start_supervisor", asked.append)
    return asked


@pytest.fixture
def record(home: Home) -> Iterator[Callable[..., RecordedRun]]:
    """Makes a recorded run of that number."""
    made: list[RecordedRun] = []

    def make(number: int = 1, **options: Any) -> RecordedRun:
        made.append(RecordedRun(home, number, **options))
        return made[-1]

    yield make
    for run in made:
        run.close()


@pytest.fixture
def open_console(home: Home, started: list[Home]) -> Callable[..., Console]:
    """Makes a console; its runs move only by `tick`."""

    def make(ascii_only: bool = False, low_bandwidth: bool = False) -> Console:
        face = Face.of(ascii_only, low_bandwidth)
        still_face = Face(face.glyphs, 1e6, face.sparkline)
        root = home.root.parent / "board"
        return Console(Lab(home), still_face, board=lambda: BOARD, clock=lambda: NOW, root=root)

    return make


async def settle(pilot: Pilot[None]) -> None:
    """Wait until all workers are done and what they said is shown."""
    for _ in range(4):
        if not pilot.app.is_running:
            return
        busy = [worker for worker in pilot.app.workers if worker.group not in ("leave", "palette")]
        if busy:
            with suppress(WorkerCancelled):  # a newer one took its place: wait for that
                await pilot.app.workers.wait_for_complete(busy)
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after the other, each with all its consequences."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def burst(pilot: Pilot[None], text: str) -> None:
    """Type letters that all arrive before the first is handled, as over a slow line."""
    for letter in text:
        key = events.Key(_character_to_key(letter), letter)
        key.set_sender(pilot.app)
        pilot.app.post_message(key)
    await settle(pilot)
