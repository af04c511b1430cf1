from __future__ import annotations

import csv
from collections.abc import Callable

from edgelab.journal import JournalWriter
from edgelab.reader import LiveRun, Replay
from edgelab.records import (
    Bounds,
    CountBounds,
    Interval,
    Outcome,
    PassScores,
    ThresholdBounds,
)
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from screens.app import Console
from screens.items import ItemRow
from screens.run import RunScreen
from screens.widgets.detail_pane import DetailPane
from screens.widgets.live import LivePanels
from screens.widgets.table import Table
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
WIDE = (120, 40)


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def run_of(console: Console) -> RunScreen:
    assert isinstance(console.screen, RunScreen)
    return console.screen


def replay_of(console: Console) -> Replay:
    source = run_of(console).source
    assert isinstance(source, Replay)
    return source


async def opened(console: Console, pilot, clock: Clock | None = None) -> RunScreen:  # type: ignore[no-untyped-def]
    await settle(pilot)
    console.push_screen(RunScreen(console.face, console.snapshot.runs[0], clock or Clock()))
    await settle(pilot)
    return run_of(console)


async def test_play_pause_speed_and_seek(open_console: Opener, record: Recorder) -> None:
    record(1).complete()
    console, clock = open_console(), Clock()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot, clock)
        replay = replay_of(console)
        assert replay.position == replay.length, "it opens at the end, with the result in view"
        await press(pilot, "space")
        assert (replay.playing, replay.position) == (True, 0.0)
        clock.now += 1.0
        screen.tick()
        assert replay.position == 1.0
        await press(pilot, "plus", "plus")
        clock.now += 0.25
        assert replay.position == 2.0
        await press(pilot, "minus", "space")
        assert (replay.speed, replay.playing) == (2.0, False)
        await press(pilot, "home", "right")
        assert replay.position == replay.length / 50
        await press(pilot, "left")
        assert replay.position == 0.0
        await press(pilot, "end")
        assert replay.position == replay.length


async def test_speed_has_ends(open_console: Opener, record: Recorder) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await opened(console, pilot)
        await press(pilot, *["plus"] * 6)
        assert replay_of(console).speed == 16
        await press(pilot, *["minus"] * 7)
        assert replay_of(console).speed == 0.5


async def test_replay_shows_what_live_showed(open_console: Opener, record: Recorder) -> None:
    """The panels' text at the same record of the same run, live and replayed."""
    run = record(1).queue().begin().start_pass(Precision.FP32).measure(Precision.FP32, 0, 70)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        assert isinstance(screen.source, LiveRun)
        shown = panels_text(screen)
        position = run.t - run.start + 0.01
        assert "70 of 240 images" in shown
        run.wait(0.5).end(Outcome.STOPPED, "stopped on request")
        screen.tick()
        await settle(pilot)
        assert panels_text(screen) != shown
        screen.seek(position)
        assert panels_text(screen) == shown


def panels_text(screen: RunScreen) -> str:
    panels = screen.query_one(LivePanels)
    return "\n".join(
        pane.text for pane in (panels.run_pane, panels.latency_pane, panels.board_pane)
    )


async def test_items_stand_worst_first(open_console: Opener, record: Recorder) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        await press(pilot, "3")
        table: Table[ItemRow] = screen.query_one("#items", Table)
        assert table.has_focus
        rows = list(table.rows)
        assert len(rows) == 240
        assert all(row.item.error for row in rows[:3]), "unreadable images first"
        errors = [row.error or 0 for row in rows[3:]]
        assert errors == sorted(errors, reverse=True)
        assert errors[0] > 0
        worst = [row for row in rows if row.error == errors[0]]
        latencies = [row.latency for row in worst if row.latency is not None]
        assert latencies == sorted(latencies, reverse=True)
        await press(pilot, "slash", *"int8", "enter")
        assert {row.item.precision for row in table.rows} == {Precision.INT8}
        before = [row.error for row in table.rows]
        await press(pilot, "n")
        assert [row.error for row in table.rows] != before, "errors at the next threshold"


async def test_the_items_title_follows_the_order(open_console: Opener, record: Recorder) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        table = screen.query_one("#items", Table)
        await press(pilot, "3")
        assert table.border_title == "Items · worst first · at threshold 0.5"
        await press(pilot, "o")
        assert table.border_title == "Items · by image ▲ · at threshold 0.5"
        await press(pilot, "O", "n")
        assert table.border_title == "Items · by image ▼ · at threshold 0.7"


async def test_a_run_that_is_over_says_what_its_figures_are_worth(
    open_console: Opener, record: Recorder
) -> None:
    run = record(1, full_precision_only=True).queue().begin()
    for precision in DETECTOR_PRECISIONS:
        run.start_pass(precision).measure(precision, 0, 80)
        if precision is not Precision.INT8:
            run.end_pass(precision)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        assert "ran as" not in panels_text(screen)
        assert "conditions" not in panels_text(screen), "not while it runs"
        run.end_pass(Precision.INT8).end()
        screen.tick()
        await settle(pilot)
        shown = panels_text(screen)
        assert "conditions: throttled" in shown
        assert "fp16 ran as 100% fp32" in shown
        assert "int8 ran as 100% fp32" in shown
        assert "fp32 ran as" not in shown


async def test_arrows_seek_while_items_are_open(open_console: Opener, record: Recorder) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await opened(console, pilot)
        await press(pilot, "3", "left")
        replay = replay_of(console)
        assert replay.position < replay.length


async def test_items_are_exported(open_console: Opener, record: Recorder) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await opened(console, pilot)
        await press(pilot, "e")
        assert console.written is not None
        with console.written.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 12 * 3 * 3


async def test_facts_tell_what_was_executed_and_the_log_is_there(
    open_console: Opener, record: Recorder
) -> None:
    run = record(1).queue().begin()
    run.folder.log.write_text("loading\nValueError: 80 classes, the dataset has 5\n")
    run.end(Outcome.FAILED, "fp32: ValueError: 80 classes, the dataset has 5")
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        facts = {fact.name: fact.value for fact in screen.query_one("#facts", Table).rows}
        assert facts["int8 executed"] == "87% int8 + 13% fp32"
        assert facts["reason"].endswith("the dataset has 5")
        assert facts["governor"] == "performance"
        await press(pilot, "5")
        log = screen.query_one("#log", Table)
        assert log.display
        assert [fact.value for fact in log.rows][-1].startswith("ValueError")
        detail = screen.query_one(DetailPane)
        assert detail.display
        assert detail.said == "ValueError: 80 classes, the dataset has 5", "a row may be cut"
        await press(pilot, "4", "down", "down", "down")
        assert detail.said == facts["reason"]


async def test_a_run_that_is_on_opens_live(open_console: Opener, record: Recorder) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        await press(pilot, "space")
        assert isinstance(screen.source, LiveRun), "a live run has no replay yet"
        run.start_pass(Precision.FP32).measure(Precision.FP32, 0, 5)
        screen.tick()
        assert "5 of 240 images" in panels_text(screen)
        run.end(Outcome.FINISHED)
        screen.tick()
        await settle(pilot)
        assert isinstance(screen.source, Replay), "over: it can be replayed"


async def test_an_empty_run_can_be_opened(open_console: Opener, record: Recorder) -> None:
    """Interrupted before anything was written but its start."""
    record(1).queue().begin().end(Outcome.INTERRUPTED, "the machine went down during the run")
    console = open_console()
    for size in ((120, 40), (80, 24)):
        async with open_console().run_test(size=size) as pilot:
            console = pilot.app  # type: ignore[assignment]
            screen = await opened(console, pilot)
            for key in "12345":
                await press(pilot, key)
            await press(pilot, "1")
            assert "the machine went down" in panels_text(screen)


async def test_errors_by_class_and_by_true_count(open_console: Opener, record: Recorder) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        screen = await opened(console, pilot)
        await press(pilot, "7")
        classes = screen.query_one("#classes", Table)
        assert classes.display
        assert len(classes.rows) == 3 * 5
        assert {line.row.counts.threshold for line in classes.rows} == {0.5}
        await press(pilot, "n")
        assert {line.row.counts.threshold for line in classes.rows} == {0.7}
        await press(pilot, "slash", *"star", "enter", "e")
        assert console.written is not None
        rows = list(csv.DictReader(console.written.read_text().splitlines()))
        assert [row["class"] for row in rows] == ["star"] * 3
        assert {row["threshold"] for row in rows} == {"0.7"}
        await press(pilot, "8")
        counts = screen.query_one("#counts", Table)
        together = [line for line in counts.rows if line.name == "all"]
        of_each = sum(line.figures.images for line in counts.rows if line.name != "all")
        assert sum(line.figures.images for line in together) == of_each > 0
        await press(pilot, "e")
        assert "true_count_first" in console.written.read_text()


async def test_the_facts_tell_average_precision_with_its_interval(
    open_console: Opener, record: Recorder
) -> None:
    run = record(1).queue().begin()
    with JournalWriter(run.folder.events) as events:
        events.append(
            PassScores(
                run.t,
                Precision.FP32,
                (ThresholdBounds(0.5, CountBounds(mae=Bounds(0.1, 0.2))),),
                map50=Interval(0.5, 0.4, 0.6),
            )
        )
    run.end(Outcome.FINISHED)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        screen = await opened(console, pilot)
        facts = {fact.name: fact.value for fact in screen.query_one("#facts", Table).rows}
        assert facts["fp32 mAP50"] == "0.500 (0.400-0.600)"
