"""Classifiers on screen: run from the Lab, trained from the Lab, their answers and classes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgelab.export import classes_csv
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.queue import queued
from edgelab.record import RunRecord
from edgelab.results import as_dict, rows_of
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Precision
from edgelab.settings.convert import ConvertSettings
from screens.app import Console
from screens.run import RunScreen
from screens.widgets.live import LivePanels
from screens.widgets.table import Table
from tests.recorded_classify import write_classified
from tests.screens.conftest import press, settle, write_profiles

Opener = Callable[..., Console]
SIZES = ((120, 40), (80, 24))

CLASSIFIER = """
schema_version = 1
title = "ViT on charts"
task = "classify"
file = "model.onnx"
"""


CHARTS = """
schema_version = 1
kind = "generated"
title = "Charts"
generator = "charts"
"""


async def open_run(console: Console, pilot: Any, home: Home) -> RunScreen:
    (record,) = Lab(home).store.all()
    screen = RunScreen(console.face, record)
    await console.push_screen(screen)
    await settle(pilot)
    return screen


async def test_r_on_a_classifier_classifies_and_p_converts(
    open_console: Opener, home: Home, started: list[Home], profiles: Path
) -> None:
    write_profiles(profiles, {"vit-charts": CLASSIFIER}, {"charts": CHARTS})
    console = open_console()
    async with console.run_test(size=SIZES[0]) as pilot:
        await settle(pilot)
        models: Table[Any] = console.screen.query_one("#models", Table)
        models.select("vit-charts")
        await settle(pilot)
        await press(pilot, "r")
        (folder,) = queued(home)
        settings = folder.read_spec().settings
        assert isinstance(settings, ClassifySettings)
        assert (settings.model, settings.dataset) == ("vit-charts", "charts")
        assert (settings.threads, len(settings.precisions)) == (4, 3)
        await press(pilot, "p")
        _, convert = [each.read_spec().settings for each in queued(home)]
        assert isinstance(convert, ConvertSettings)
        assert (convert.model, convert.dataset) == ("vit-charts", "charts")
        assert convert.precisions == (Precision.FP16, Precision.INT8)
        models.select("yolov8n-shapes")
        await settle(pilot)
        datasets: Table[Any] = console.screen.query_one("#datasets", Table)
        assert datasets.row is not None
        assert datasets.row.name == "shapes", "what was chosen for detectors is still chosen"


@pytest.mark.parametrize("size", SIZES)
async def test_answers_and_classes_are_tables(
    open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    write_classified(home)
    console = open_console()
    async with console.run_test(size=size) as pilot:
        await settle(pilot)
        screen = await open_run(console, pilot, home)
        await press(pilot, "3")
        items = screen.query_one("#items", Table)
        assert [(row.item.image, row.wrong) for row in items.rows[:3]] == [
            ("1.png", True), ("4.png", True), ("5.png", False),
        ]  # fmt: skip
        texts = [column.text(items.rows[0]) for column in items.columns]
        assert texts[3:7] == ["bar", "pie", "no", "0.850"]
        await press(pilot, "7")
        classes = screen.query_one("#classes", Table)
        rows = [[column.text(row) for column in classes.columns] for row in classes.rows]
        assert [row[:3] for row in rows] == [
            ["fp32", "bar", "2"], ["fp32", "pie", "2"], ["fp32", "=line", "2"],
        ]  # fmt: skip
        assert [row[6:] for row in rows] == [["1", "1", ""], ["", "2", ""], ["", "", "1"]]


async def test_while_it_measures_answer_and_accuracy_are_told(
    open_console: Opener, home: Home
) -> None:
    write_classified(home)
    console = open_console()
    async with console.run_test(size=SIZES[0]) as pilot:
        await settle(pilot)
        screen = await open_run(console, pilot, home)
        screen.seek(8.5)
        shown = " ".join(screen.query_one(LivePanels).run_pane.text.split())
        assert "true pie answer pie 0.75" in shown
        assert "top-1 so far 0.750" in shown


def record_of(home: Home) -> RunRecord:
    write_classified(home)
    lab = Lab(home)
    return lab.record(lab.find("last"))


def test_classes_as_csv(home: Home) -> None:
    rows = list(csv.DictReader(classes_csv([record_of(home)]).splitlines()))
    assert [row["class"] for row in rows] == ["bar", "pie", "'=line"]
    assert [row["as pie"] for row in rows] == ["1", "2", "0"]
    assert rows[0]["recall"] == "0.5"


def test_result_columns_of_a_pass(home: Home) -> None:
    (row,) = rows_of(record_of(home))
    found = as_dict(row)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["top5_accuracy"] is None
    assert found["mae_mean"] is None
    assert found["model"] == "vit-tiny-3-charts"
