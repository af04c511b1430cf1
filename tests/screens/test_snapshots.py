"""What each screen looks like. After a wanted change: pytest --snapshot-update, and look at it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from edgelab.records import Outcome
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from screens.app import Console
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
Compare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]

SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])


def keys(*names: str) -> Steps:
    async def run(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *names)

    return run


def under_way(record: Recorder) -> RecordedRun:
    run = record(2).queue().begin()
    run.start_pass(Precision.FP32).measure(Precision.FP32, 0, 80).end_pass(Precision.FP32)
    return run.start_pass(Precision.FP16).measure(Precision.FP16, 0, 61)


def some_runs(record: Recorder) -> None:
    record(1).complete()
    other = DetectSettings(model="yolo11s", dataset="coco-val", precisions=(Precision.INT8,))
    broken = record(2, settings=other).queue().begin().start_pass(Precision.INT8)
    broken.end(Outcome.OUT_OF_MEMORY, "int8: the runner could not get the memory it asked for")
    record(3, images=40).complete()
    stopped = record(4).queue().begin().start_pass(Precision.FP32).measure(Precision.FP32, 0, 33)
    stopped.end(Outcome.STOPPED, "stopped on request")


@SIZES
def test_empty_lab(snap_compare: Compare, open_console: Opener, size: tuple[int, int]) -> None:
    assert snap_compare(open_console(), terminal_size=size, run_before=keys())


@SIZES
def test_running(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    record(1).complete()
    under_way(record)
    record(3).queue()
    assert snap_compare(open_console(), terminal_size=size, run_before=keys())


@SIZES
def test_finished(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    record(1).complete()
    assert snap_compare(open_console(), terminal_size=size, run_before=keys("3"))


@SIZES
def test_failed(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    run = under_way(record)
    console = open_console()

    async def fail(pilot: Pilot[None]) -> None:
        await settle(pilot)
        reason = 'File "detect.py", line 41\nValueError: the model has 80 classes, the dataset 5'
        run.end(Outcome.FAILED, f"fp16: {reason}")
        console.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)

    assert snap_compare(console, terminal_size=size, run_before=fail)


@SIZES
def test_runs_with_marks(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    some_runs(record)
    steps = keys("a", "down", "space", "space")
    assert snap_compare(open_console(), terminal_size=size, run_before=steps)


@SIZES
@pytest.mark.parametrize("tab", ["1", "2", "3"])
def test_replay_midway(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int], tab: str
) -> None:
    record(1).complete()
    steps = keys("a", "enter", "home", *["right"] * 23, tab)
    assert snap_compare(open_console(), terminal_size=size, run_before=steps)


@SIZES
def test_help(snap_compare: Compare, open_console: Opener, size: tuple[int, int]) -> None:
    assert snap_compare(open_console(), terminal_size=size, run_before=keys("question_mark"))


@SIZES
def test_palette(snap_compare: Compare, open_console: Opener, size: tuple[int, int]) -> None:
    steps = keys("ctrl+p", "r", "u", "n")
    assert snap_compare(open_console(), terminal_size=size, run_before=steps)


@SIZES
def test_leaving(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    under_way(record)
    assert snap_compare(open_console(), terminal_size=size, run_before=keys("q"))


@SIZES
def test_ascii(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    under_way(record)
    console = open_console(ascii_only=True)
    assert snap_compare(console, terminal_size=size, run_before=keys())


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_colours(snap_compare: Compare, open_console: Opener, record: Recorder, theme: str) -> None:
    under_way(record)
    console = open_console()
    console.theme = theme
    assert snap_compare(console, terminal_size=(120, 40), run_before=keys())
