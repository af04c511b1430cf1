from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Static

from edgelab.catalogue import Catalogue
from edgelab.dataset_report import (
    REPORT_VERSION,
    ClassContent,
    DatasetReport,
    Finding,
    Kind,
)
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.program import Tell
from screens import dataset_form
from screens.app import Console
from screens.dataset import DatasetScreen
from screens.dataset_form import AddForm, LookForm
from screens.datasets import DatasetsScreen
from screens.dialogs import Ask
from tests.faulty_coco import HOSTILE, write_faulty_coco
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun
from tests.screens.test_hostile import screen_text
from tests.screens.test_snapshots import keys

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
Compare = Callable[..., bool]
WIDE = (120, 40)
SIZES = pytest.mark.parametrize("size", [WIDE, (80, 24)], ids=["120x40", "80x24"])

REPORT = DatasetReport(
    version=REPORT_VERSION,
    name="pets",
    path="/data/pets/annotations.json",
    split="all",
    images=412,
    readable=410,
    objects=1203,
    crowds=7,
    classes=(ClassContent("cat", 200, 640, 5, True), ClassContent("dog", 190, 563, 2, False)),
    findings=(
        Finding(Kind.MISSING, "img/000113.jpg", "/data/pets/img/000113.jpg does not exist"),
        Finding(Kind.BROKEN, "img/000288.jpg", "cut off, or not an image that can be decoded"),
        Finding(Kind.OUTSIDE, "annotation 77", "reaches 26.0 px out of the image of 64 x 64 px"),
        Finding(Kind.NOT_KNOWN, "dog", "yolov8n-shapes never finds it: counted as missed"),
        Finding(Kind.CROWDS, "pets", "7 crowd annotations (iscrowd): not counted"),
    ),
)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No program is started; the datasets that were looked through."""
    seen: list[str] = []

    def look_through(_home: Home, dataset: str, _tell: Tell, **_: object) -> DatasetReport:
        seen.append(dataset)
        return REPORT

    monkeypatch.setattr(dataset_form, "look_through", look_through)
    return seen


def problem(console: Console) -> str:
    return str(console.screen.query_one(".problem", Static).render())


async def test_data_on_disk_get_a_name_and_their_faults_are_told(
    open_console: Opener, home: Home, tmp_path: Path
) -> None:
    """With the program that looks, as it is."""
    file = write_faulty_coco(tmp_path)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "d", "plus")
        form = console.screen
        assert isinstance(form, AddForm)
        form.field("name").value = "mine"
        form.field("path").value = f"{file}.gone"
        await press(pilot, "enter")
        assert console.screen is form
        assert "does not exist" in problem(console)
        form.field("path").value = str(file)
        form.field("images a class").value = "few"
        await press(pilot, "enter")
        assert "expected a whole number" in problem(console)
        form.field("images a class").value = ""
        form.field("classes").value = "red, green"
        await press(pilot, "enter")
        screen = console.screen
        assert isinstance(screen, DatasetScreen)
        assert screen.report.faults == 18
        assert [content.name for content in screen.counted.rows] == ["red", "green"]
        assert HOSTILE not in screen_text(console)
        await press(pilot, "escape")
        assert isinstance(console.screen, DatasetsScreen)
        assert console.screen.table.row is not None
        assert console.screen.table.row.name == "mine"
        await press(pilot, "escape")
        assert "mine" in [entry.name for entry in console.screen.datasets.rows]  # type: ignore[attr-defined]
    entry = Catalogue(home).dataset("mine")
    assert entry is not None
    assert entry.problem is None


async def test_findings_are_filtered_sorted_and_exported(
    open_console: Opener, home: Home, looks: list[str]
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "d", "enter", "enter")
        assert looks == ["shapes"]
        screen = console.screen
        assert isinstance(screen, DatasetScreen)
        await press(pilot, "slash", *"image", "enter")
        assert [finding.kind for finding in screen.findings.rows] == [
            Kind.MISSING, Kind.BROKEN, Kind.OUTSIDE,
        ]  # fmt: skip
        await press(pilot, "o", "o", "O")
        assert [finding.kind for finding in screen.findings.rows] == [
            Kind.OUTSIDE, Kind.BROKEN, Kind.MISSING,
        ]  # fmt: skip
        await press(pilot, "home")
        assert "reaches 26.0 px" in screen.detail.said
        await press(pilot, "e")
        (written,) = home.exports.glob("dataset-findings-*.csv")
        rows = list(csv.DictReader(io.StringIO(written.read_text())))
        assert {row["where"] for row in rows} == {
            "img/000113.jpg", "img/000288.jpg", "annotation 77",
        }  # fmt: skip
        await press(pilot, "2", "e")
        (written,) = home.exports.glob("dataset-classes-*.csv")
        rows = list(csv.DictReader(io.StringIO(written.read_text())))
        assert {row["class"]: row["model_knows"] for row in rows} == {"cat": "1", "dog": "0"}


async def test_a_name_that_is_none_is_not_looked_through(
    open_console: Opener, looks: list[str]
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "d", "c")
        form = console.screen
        assert isinstance(form, LookForm)
        form.field("dataset").value = "shape"
        await press(pilot, "enter")
        assert console.screen is form
        assert "did you mean shapes?" in problem(console)
        form.field("dataset").value = "shapes"
        form.field("model").value = "nothing"
        await press(pilot, "enter")
        assert "neither a name nor a path" in problem(console)
    assert looks == []


async def test_a_look_is_stopped_and_a_run_is_not_disturbed_unasked(
    open_console: Opener, record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, told, ended = threading.Event(), threading.Event(), threading.Event()

    def look_through(_home: Home, _dataset: str, tell: Tell, **_: object) -> DatasetReport:
        begun.set()
        try:
            while True:
                tell("images: 1 of 2, 3 s left")
                told.wait(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(dataset_form, "look_through", look_through)
    record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("d", "c", "enter")
        await pilot.pause()
        assert isinstance(console.screen, Ask)
        assert not begun.is_set()
        await pilot.press("y")
        begun.wait(10)
        await pilot.press("s")
        await settle(pilot)
        assert ended.wait(10)
        assert isinstance(console.screen, DatasetsScreen)


async def test_what_cannot_be_looked_through_says_why(
    open_console: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_through(*_: object, **__: object) -> DatasetReport:
        raise Problem("shapes: no images in it")

    monkeypatch.setattr(dataset_form, "look_through", look_through)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "d", "enter", "enter")
        assert isinstance(console.screen, DatasetsScreen)
        assert any("no images in it" in str(each.message) for each in console._notifications)


@SIZES
@pytest.mark.parametrize("tab", ["1", "2"])
def test_what_was_found(
    snap_compare: Compare, open_console: Opener, looks: list[str], size: tuple[int, int], tab: str
) -> None:
    steps = keys("d", "enter", "enter", tab)
    assert snap_compare(open_console(), terminal_size=size, run_before=steps)


@SIZES
def test_all_datasets(snap_compare: Compare, open_console: Opener, size: tuple[int, int]) -> None:
    assert snap_compare(open_console(), terminal_size=size, run_before=keys("d"))
