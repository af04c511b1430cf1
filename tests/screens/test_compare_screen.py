from __future__ import annotations

import csv
from collections.abc import Callable

import pytest

from edgelab.home import Home
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from screens.app import Console
from screens.choose_table import ChooseTable
from screens.compare import CompareScreen
from screens.run import RunScreen
from screens.runs import RunsScreen
from screens.watch import Snapshot
from screens.widgets.table import Table
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
Compare = Callable[..., bool]

WIDE, SMALL = (120, 40), (80, 24)
SIZES = pytest.mark.parametrize("size", [WIDE, SMALL], ids=["120x40", "80x24"])
COUNTING_CV = ("a", "c", "down", "enter")
"""From the Lab: the newest run against reference:counting-cv."""


def shown(console: Console) -> CompareScreen:
    assert isinstance(console.screen, CompareScreen)
    return console.screen


def names(console: Console) -> list[tuple[str | None, str | None]]:
    return [
        (row.left and row.left.full_name, row.right and row.right.full_name)
        for row in shown(console).rows.rows
    ]


def two_runs(record: Recorder) -> None:
    record(1, images=12).complete()
    other = DetectSettings(
        model="ssdlite320-shapes", dataset="shapes", precisions=(Precision.FP32,), threads=2
    )
    record(2, settings=other, images=12).complete()


async def test_marked_runs_stand_side_by_side(open_console: Opener, record: Recorder) -> None:
    two_runs(record)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "space", "space", "c")
        assert names(console)[0] == (
            "#2 ssdlite320-shapes fp32 0.3",
            "#1 yolov8n-shapes fp32 0.3",
        )
        told = [row.text for row in shown(console).differs.rows]
        assert told[0] == "stand-in: ssdlite320-shapes for yolov8n-shapes (another model)"
        assert "2 / 4" in told, "threads"
        await press(pilot, "x")
        assert names(console)[0][0] == "#1 yolov8n-shapes fp32 0.3", "the sides are swapped"
        titles = [column.title for column in shown(console).rows.columns]
        assert {"p50 ms A", "p50 ms B", "peak MB A", "max °C A", "J/image A"} <= set(titles)


async def test_one_run_against_a_published_table(open_console: Opener, record: Recorder) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "c")
        assert isinstance(console.screen, ChooseTable)
        assert "#1" not in [row.name for row in console.screen.query_one(Table).rows], "itself"
        await press(pilot, "escape")
        assert isinstance(console.screen, RunsScreen)
        await press(pilot, "c", "down", "enter")
        assert ("#1 yolov8n-shapes fp32 0.3", "counting-cv yolov8n fp32 0.3") in names(console)
        found = [row.finding.sentence for row in shown(console).findings.rows if row.side == "B"]
        assert len(found) == 40
        assert any("20529 where fp32 found 11174" in sentence for sentence in found)
        await press(pilot, "2", "end")
        last = shown(console).findings.row
        assert last is not None
        assert shown(console).detail.said == last.finding.sentence
        await press(pilot, "3")
        assert shown(console).detail.said.startswith("model: stand-in: yolov8n-shapes for yolov8n")
        await press(pilot, "v", "down", "down", "enter")
        assert "counting-vlm" in str(shown(console).rows.border_title)


async def test_rows_are_filtered_sorted_and_written(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, *COUNTING_CV, "slash", *"int8 shapes", "enter", "o", "o", "o", "O")
        thresholds = [row.left.threshold for row in shown(console).rows.rows if row.left]
        assert thresholds == [0.7, 0.5, 0.3]
        await press(pilot, "e")
        assert console.written is not None
        with console.written.open(newline="") as file:
            assert [row["threshold"] for row in csv.DictReader(file)] == ["0.7", "0.5", "0.3"]
        await press(pilot, "M")
        assert console.written.suffix == ".md"
        page = console.written.read_text()
        assert page.count("\n| ") == 2 + 3
        assert "## Findings in reference:counting-cv" in page


async def test_enter_opens_the_run(open_console: Opener, record: Recorder) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, *COUNTING_CV, "end", "enter")
        assert isinstance(console.screen, CompareScreen), "a published row has no run"
        await press(pilot, "home", "enter")
        assert isinstance(console.screen, RunScreen)
        await press(pilot, "escape")
        assert isinstance(console.screen, CompareScreen)
        console.snapshot = Snapshot()  # another console deleted it
        await press(pilot, "enter")
        assert [each.message for each in console._notifications][-1] == "that run was deleted"


async def test_a_broken_table_is_listed_with_its_problem_and_not_taken(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    folder = home.profiles / "references"
    folder.mkdir(parents=True)
    (folder / "a-broken.toml").write_text("schema_version = 9")
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "c", "enter")
        assert isinstance(console.screen, ChooseTable)


async def test_a_run_without_a_result_is_not_compared(
    open_console: Opener, record: Recorder
) -> None:
    record(1).queue()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a", "c")
        assert isinstance(console.screen, RunsScreen)


@SIZES
@pytest.mark.parametrize("tab", ["1", "2", "3"])
def test_against_the_published_table(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int], tab: str
) -> None:
    record(1).complete()

    async def steps(pilot) -> None:  # type: ignore[no-untyped-def]
        await settle(pilot)
        await press(pilot, *COUNTING_CV, tab)

    assert snap_compare(open_console(), terminal_size=size, run_before=steps)


@SIZES
def test_choosing(
    snap_compare: Compare, open_console: Opener, record: Recorder, size: tuple[int, int]
) -> None:
    record(1).complete()

    async def steps(pilot) -> None:  # type: ignore[no-untyped-def]
        await settle(pilot)
        await press(pilot, "a", "c")

    assert snap_compare(open_console(), terminal_size=size, run_before=steps)
