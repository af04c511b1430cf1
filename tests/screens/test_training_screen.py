"""A training on screen: live meter, curves in replay, facts, export."""

from __future__ import annotations

import csv
from collections.abc import Callable

import pytest

from edgelab.durable import locked
from edgelab.home import Home
from screens.app import Console
from screens.run import RunScreen
from screens.widgets.lines import TabLine
from screens.widgets.live import LivePanels
from screens.widgets.run_pane import RunPane
from screens.widgets.table import Table
from screens.widgets.training_pane import CurvesPane, TrainingPane
from tests.recorded_training import write_finetuning, write_training
from tests.screens.conftest import settle

Opener = Callable[..., Console]


async def opened(console: Console, pilot) -> RunScreen:  # type: ignore[no-untyped-def]
    await settle(pilot)
    console.push_screen(RunScreen(console.face, console.snapshot.runs[0]))
    await settle(pilot)
    assert isinstance(console.screen, RunScreen)
    return console.screen


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_meter_stands_where_latency_was(
    open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    write_training(home)
    console = open_console()
    async with console.run_test(size=size) as pilot:
        screen = await opened(console, pilot)
        panels = screen.query_one(LivePanels)
        assert panels.training_pane.display
        assert not panels.latency_pane.display
        shown = screen.query_one(TrainingPane).text
        for word in ("loss", "held-out", "accuracy 0.800", "epoch 3 of 4", "img/s", "best 0.800"):
            assert word in shown
        assert "20 of 40 steps" in screen.query_one(RunPane).text


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_fine_tuning_has_the_same_meter(
    open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    write_finetuning(home)
    console = open_console()
    with locked(home.supervisor_lock):  # as its supervisor holds it while it lives
        async with console.run_test(size=size) as pilot:
            await settle(pilot)
            shown = console.screen.query_one(TrainingPane).text
            for word in ("loss 0.100", "held-out 0.300", "token accuracy 0.800", "rate 0.001",
                         "img/s 7.8", "epoch 3 of 4"):  # fmt: skip
                assert word in shown
            run = console.screen.query_one(RunPane).text
            assert "20 of 40 steps" in run
            assert "left 20 s" in run


async def test_before_the_first_step_a_fine_tuning_tells_what_was_asked(
    open_console: Opener, home: Home
) -> None:
    write_finetuning(home, epochs=0)
    console = open_console()
    with locked(home.supervisor_lock):
        async with console.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            panels = console.screen.query_one(LivePanels)
            assert not panels.latency_pane.display
            assert "no step was made yet" in panels.training_pane.text
            assert "10 of 30 questions" in panels.run_pane.text


async def test_curves_follow_the_replay(open_console: Opener, home: Home) -> None:
    write_training(home)
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        screen = await opened(console, pilot)
        curves = screen.query_one(CurvesPane)
        whole = curves.text
        assert "loss, 20 points, to step 20" in whole
        assert "held-out accuracy, 2 points" in whole
        screen.seek(15.0)
        await settle(pilot)
        assert "loss, 6 points, to step 6" in curves.text


async def test_facts_tell_epochs_balance_and_classes(open_console: Opener, home: Home) -> None:
    write_training(home)
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        screen = await opened(console, pilot)
        facts = {fact.name: fact.value for fact in screen.query_one("#facts", Table).rows}
        assert "accuracy 0.800" in facts["epoch 2"]
        assert facts["train split"].startswith("80 images")
        assert "taken for bar 3x" in facts["best =line"]


async def test_scores_are_a_table_of_their_own(open_console: Opener, home: Home) -> None:
    write_training(home)
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        screen = await opened(console, pilot)
        await pilot.press("3")
        await settle(pilot)
        table = screen.query_one("#items", Table)
        assert table.display
        assert [column.title for column in table.columns][:3] == ["by", "asked", "accuracy"]
        assert "0.800 (0.700-0.900)" in [each.text(table.rows[0]) for each in table.columns]
        assert "scores" in screen.query_one(TabLine).text


async def test_export_writes_the_curves(open_console: Opener, home: Home) -> None:
    write_training(home)
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        screen = await opened(console, pilot)
        screen.action_export()
        await settle(pilot)
        (file,) = home.exports.glob("curves-*.csv")
        assert len(list(csv.DictReader(file.read_text().splitlines()))) == 22
