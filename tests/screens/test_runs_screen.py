from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from textual.screen import Screen
from textual.widgets import Static

from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.records import Outcome
from edgelab.settings.detect import DetectSettings
from screens.app import Console
from screens.dialogs import Ask
from screens.import_form import ImportForm
from screens.lab import LabScreen
from screens.run import RunScreen
from screens.runs import RunsScreen
from tests.screens.conftest import burst, press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
WIDE = (120, 40)


def runs_of(console: Console) -> RunsScreen:
    assert isinstance(console.screen, RunsScreen)
    return console.screen


def numbers(console: Console) -> list[int]:
    return [row.spec.number for row in runs_of(console).table.rows]


def said(screen: Screen[Any]) -> str:
    return " ".join(str(each.content) for each in screen.query(Static))


def some_runs(record: Recorder) -> None:
    record(1, images=12).complete()
    other = DetectSettings(model="yolo11s", dataset="shapes")
    record(2, settings=other, images=12).queue().begin().end(Outcome.FAILED, "fp32: broken")
    record(3, images=20).complete()


async def test_runs_stand_newest_first_and_open_with_enter(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    some_runs(record)
    newest = Lab(home).runs()[0]
    no_date = msgspec.structs.replace(newest, started=1e300)
    Lab(home).folder(newest.spec.id).record.write_bytes(msgspec.json.encode(no_date))
    Lab(home).rebuild()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "enter", "escape")
        assert numbers(console) == [3, 2, 1]
        await press(pilot, "down", "enter")
        assert isinstance(console.screen, RunScreen)
        assert console.screen.record.spec.number == 2
        await press(pilot, "escape")
        row = runs_of(console).table.row
        assert row is not None
        assert row.spec.number == 2, "back on the same row"
        await press(pilot, "l")
        assert isinstance(console.screen, LabScreen)


async def test_filter(open_console: Opener, record: Recorder) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "slash", *"FAIL")
        assert numbers(console) == [2]
        await press(pilot, "enter")
        assert runs_of(console).table.has_focus
        assert numbers(console) == [2], "enter keeps the filter"
        await press(pilot, "slash", "escape")
        assert numbers(console) == [3, 2, 1]


async def test_no_letter_is_lost_when_keys_come_in_a_burst(
    open_console: Opener, record: Recorder
) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        await burst(pilot, "/stopped/")
        assert runs_of(console).table.filter == "stopped/"
        assert runs_of(console).table.order is None, "no letter was taken for a key"


async def test_esc_takes_the_filter_off_before_it_leaves(
    open_console: Opener, record: Recorder
) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "slash", *"fail", "enter", "escape")
        assert numbers(console) == [3, 2, 1]
        await press(pilot, "escape")
        assert isinstance(console.screen, LabScreen)


async def test_sort(open_console: Opener, record: Recorder) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "o")
        assert numbers(console) == [1, 2, 3], "by number"
        await press(pilot, "O")
        assert numbers(console) == [3, 2, 1]
        await press(pilot, "o", "o")
        assert numbers(console)[0] == 2, "by model: yolo11s before yolov8n"


async def test_delete_asks_and_takes_the_marked(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "space", "space", "d")
        assert isinstance(console.screen, Ask)
        await press(pilot, "escape")
        assert len(list(home.runs.iterdir())) == 3
        await press(pilot, "d")
        assert "recorded of them is lost" in said(console.screen)
        await press(pilot, "n", "u", "d")
        assert "recorded of it is lost" in said(console.screen)
        await press(pilot, "n", "home", "space", "space")
        await press(pilot, "d", "y")
        assert numbers(console) == [1]
        assert len(list(home.runs.iterdir())) == 1


async def test_a_run_that_is_on_is_not_deleted(open_console: Opener, record: Recorder) -> None:
    record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "d")
        assert numbers(console) == [1]
        assert isinstance(console.screen, RunsScreen), "it says so instead of asking"


async def test_export_takes_the_marked_or_all_shown(open_console: Opener, record: Recorder) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "end", "space", "e")
        assert console.written is not None
        with console.written.open(newline="") as file:
            assert {row["run"] for row in csv.DictReader(file)} == {"a0000001"}
        await press(pilot, "u", "slash", *"yolov8n", "enter", "e")
        with console.written.open(newline="") as file:
            assert {row["run"] for row in csv.DictReader(file)} == {"a0000001", "a0000003"}


async def test_marks_stay_when_the_lab_moves(open_console: Opener, record: Recorder) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "down", "space")
        record(4, images=12).complete()
        console.look()
        await settle(pilot)
        assert numbers(console) == [4, 3, 2, 1]
        assert [row.spec.number for row in runs_of(console).table.marked_rows] == [2]


async def test_g_goes_on_with_a_run_that_ended_before_its_time(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    some_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "g")
        assert not list(home.queue.glob("*"))  # the run under the cursor is finished
        await press(pilot, "down", "g")
        await settle(pilot)
        assert [entry.name[:8] for entry in home.queue.iterdir()] == ["00000002"]
        assert [run.outcome for run in runs_of(console).table.rows if run.spec.number == 2] == [
            Outcome.QUEUED
        ]


async def test_plus_imports_the_runs_of_another_board(
    open_console: Opener, record: Recorder, tmp_path: Path
) -> None:
    orange = Home(tmp_path / "orange")
    orange.root.mkdir()
    RecordedRun(orange, number=7).complete()
    RecordedRun(orange, number=8).queue()
    record(1).complete()
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "a", "plus")
        form = console.screen
        assert isinstance(form, ImportForm)
        await press(pilot, "enter")
        assert "no such folder" in said(form)
        form.field("folder").value = str(orange.root)
        form.field("board").value = "roof"
        await press(pilot, "enter")
        await settle(pilot)
        assert numbers(console) == [2, 1]
        assert [record.spec.origin for record in runs_of(console).table.rows] == ["roof", None]
        told = " ".join(notice.message for notice in console._notifications)
        assert "1 run imported, 0 here already, 1 not" in told
        assert "a0000008: not over" in told
