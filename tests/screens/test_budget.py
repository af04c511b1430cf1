"""What the console must never load, and what it must not do while nothing happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from edgelab.settings.common import Precision
from screens.app import Console
from screens.face import Face
from screens.lab import LabScreen
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]

HEAVY = ("numpy", "cv2", "onnx", "onnxruntime", "torch", "torchvision", "transformers", "pandas")


def test_the_console_loads_no_heavy_library() -> None:
    code = (
        "import sys, screens.app, screens.run, screens.runs, screens.compare;"
        "import screens.help, screens.palette;"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def counted(console: Console, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written to the terminal from now on."""
    written: list[str] = []
    assert console._driver is not None
    monkeypatch.setattr(console._driver, "write", written.append)
    # The headless driver is never written to: make it look like a real one.
    monkeypatch.setattr(type(console._driver), "is_headless", False)
    return written


async def test_nothing_is_written_while_nothing_happens(
    open_console: Opener, record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        written = counted(console, monkeypatch)
        for _ in range(5):
            console.look()
            lab.tick()
            await settle(pilot)
        assert "".join(written) == ""


async def test_a_tick_without_news_writes_nothing_and_one_with_news_little(
    open_console: Opener, record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(1).queue().begin().start_pass(Precision.FP32).measure(Precision.FP32, 0, 20)
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        written = counted(console, monkeypatch)
        lab.tick()
        await settle(pilot)
        assert "".join(written) == ""
        run.measure(Precision.FP32, 20, 60)
        lab.tick()
        await settle(pilot)
        assert 0 < len("".join(written).encode()) <= 3000, "2 a second may cost 6 KB/s"


def test_low_bandwidth_looks_seldom_and_draws_less() -> None:
    assert Face.of(ascii_only=False, low_bandwidth=True).tick_s == 2.0
    assert not Face.of(ascii_only=False, low_bandwidth=True).sparkline
    assert Face.of(ascii_only=False, low_bandwidth=False).tick_s == 0.5


async def test_low_bandwidth_has_no_sparkline(open_console: Opener, record: Recorder) -> None:
    record(1).queue().begin().start_pass(Precision.FP32).measure(Precision.FP32, 0, 20)
    shown = {}
    for low_bandwidth in (False, True):
        console = open_console(low_bandwidth=low_bandwidth)
        async with console.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            lab = console.screen
            assert isinstance(lab, LabScreen)
            shown[low_bandwidth] = "█" in lab.panels.latency_pane.text
    assert shown == {False: True, True: False}


async def test_a_covered_screen_stands_still(open_console: Opener, record: Recorder) -> None:
    record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        moving = [lab.moving]
        for key in ("a", "escape"):
            await press(pilot, key)
            moving.append(lab.moving)
        assert moving == [True, False, True]
