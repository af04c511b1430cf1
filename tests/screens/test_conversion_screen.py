"""A conversion in the console: the key that starts it, its progress, the doctor's report."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Static

from edgelab.durable import locked
from edgelab.home import Home
from edgelab.queue import queued
from edgelab.settings.common import Precision
from edgelab.settings.convert import ConvertSettings
from screens.app import Console
from screens.lab import LabScreen
from screens.run import RunScreen
from screens.task_form import ConversionForm
from screens.widgets.run_pane import RunPane
from screens.widgets.table import Table
from tests.recorded_conversion import write_conversion
from tests.screens.conftest import MODEL, press, settle, write_profiles

Opener = Callable[..., Console]
SIZES = [(120, 40), (80, 24)]


async def opened(console: Console, pilot) -> RunScreen:  # type: ignore[no-untyped-def]
    await settle(pilot)
    console.push_screen(RunScreen(console.face, console.snapshot.runs[0]))
    await settle(pilot)
    assert isinstance(console.screen, RunScreen)
    return console.screen


async def test_p_converts_the_chosen_model(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        (folder,) = queued(home)
        settings = folder.read_spec().settings
        assert isinstance(settings, ConvertSettings)
        assert settings.precisions == (Precision.FP16, Precision.INT8)
        assert (settings.model, settings.dataset) == ("yolov8n-shapes", "shapes")
        assert settings.name == "yolov8n-shapes-converted"


async def test_how_it_is_converted_can_be_typed(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "P")
        form = console.screen
        assert isinstance(form, ConversionForm)
        assert form.field("activations").value == "auto"
        form.field("ranges").value = "percentile"
        form.field("activations").value = "s8"
        form.field("precisions").value = "int8 int4"
        await press(pilot, "enter")
        assert console.screen is form
        assert "int4" in str(form.query_one(".problem", Static).render())
        form.field("precisions").value = "int8"
        form.field("dataset").value = "shape"
        await press(pilot, "enter")
        assert "did you mean shapes?" in str(form.query_one(".problem", Static).render())
        form.field("dataset").value = "shapes"
        form.field("called").value = "small"
        await press(pilot, "enter")
        (folder,) = queued(home)
        settings = folder.read_spec().settings
        assert isinstance(settings, ConvertSettings)
        assert (settings.method, settings.activations) == ("percentile", "s8")
        assert (settings.name, settings.precisions) == ("small", (Precision.INT8,))


async def test_without_a_precision_to_convert_to_nothing_starts(
    open_console: Opener, home: Home
) -> None:
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "tab", "tab", "down", "space", "down", "space", "p")
        assert not queued(home)


@pytest.mark.parametrize("size", SIZES)
async def test_progress_is_told_live(
    open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    write_conversion(home, over=False)
    console = open_console()
    with locked(home.supervisor_lock):  # as its supervisor does
        async with console.run_test(size=size) as pilot:
            screen = await opened(console, pilot)
            shown = screen.query_one(RunPane).text
            for words in ("int8 model: calibrate", "25 of 80 images", "fp16: accepted"):
                assert words in shown


@pytest.mark.parametrize("size", SIZES)
async def test_the_report_is_readable_and_exported(
    open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    write_conversion(home)
    console = open_console()
    async with console.run_test(size=size) as pilot:
        screen = await opened(console, pilot)
        shown = screen.query_one(RunPane).text
        assert "1 of 2 precisions" in shown
        assert "counts collapse" in shown
        await press(pilot, "6")
        table = screen.query_one("#doctor", Table)
        assert table.display
        assert screen.focused is table
        rows = {(row.precision, row.name): row.value for row in table.rows}
        assert rows["fp16", "verdict"] == "accepted"
        assert rows["int8", "verdict"].startswith("refused: counts collapse")
        assert rows["int8", "activations"] == "u8 (tried: u8 16.6 ms, s8 39.8 ms)"
        await press(pilot, "e")
        (path,) = home.exports.glob("conversions-*.csv")
        exported = list(csv.DictReader(path.read_text().splitlines()))
        assert [row["precision"] for row in exported] == ["fp16"] * 3 + ["int8"] * 3
        path.unlink()
        screen.source = None  # its journals are not read yet, or cannot be
        await press(pilot, "e")
        assert path.exists()


async def test_a_converted_model_appears_in_the_list(
    open_console: Opener, home: Home, profiles: Path
) -> None:
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        write_profiles(home.profiles, {"yolov8n-shapes-converted": MODEL}, {})
        write_conversion(home)
        console.look()
        await settle(pilot)
        lab = console.screen_stack[0]
        assert isinstance(lab, LabScreen)
        names = [row.entry.name for row in lab.models.rows]
        assert names == ["yolov8n-shapes", "yolov8n-shapes-converted"]


WEIGHTS = """
schema_version = 1
title = "YOLOv8n, COCO"
task = "detect"
family = "yolo"
weights = { file = "yolov8n.pt", url = "http://127.0.0.1:9/yolov8n.pt", sha256 = "00000000" }
"""


async def test_a_model_whose_weights_are_not_here_can_be_chosen(
    open_console: Opener, home: Home, profiles: Path
) -> None:
    write_profiles(profiles, {"yolov8n": WEIGHTS}, {})
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen_stack[0]
        assert isinstance(lab, LabScreen)
        lab.models.select("yolov8n")
        await settle(pilot)
        row = lab.models.row
        assert row is not None
        assert (row.mark, row.reason) == ("fetch", "weights not here yet")
        await press(pilot, "r")
        (folder,) = queued(home)
        assert folder.read_spec().settings.model == "yolov8n"
