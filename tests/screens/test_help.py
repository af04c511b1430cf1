from __future__ import annotations

from collections.abc import Callable

import pytest

from screens.actions import ACTIONS, Place
from screens.app import Console
from screens.help import HelpScreen, help_rows
from screens.widgets.lines import KeyLine
from screens.widgets.table import Table
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]


@pytest.mark.parametrize("width", [80, 120])
async def test_no_text_of_the_help_is_cut(open_console: Opener, width: int) -> None:
    console = open_console()
    async with console.run_test(size=(width, 200)) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        table = console.screen.query_one(Table)
        lines = [table.render_line(y).text for y in range(table.content_size.height)]
        for action in ACTIONS:
            assert any(line.rstrip().endswith(action.help) for line in lines), action


async def test_help_begins_with_the_keys_of_the_screen(open_console: Opener) -> None:
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "a", "question_mark")
        assert isinstance(console.screen, HelpScreen)
        rows = console.screen.query_one(Table).rows
        assert rows[0].text == "Runs"
        assert rows[1].place is Place.RUNS


@pytest.mark.parametrize("place", list(Place))
def test_help_has_every_key_once(place: Place) -> None:
    rows = [row for row in help_rows(place) if row.key]
    assert len(rows) == len(set(rows)) == len(ACTIONS)


async def test_the_last_line_names_the_way_in_and_out_first(
    open_console: Opener, record: Recorder
) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        runs = console.screen.query_one(KeyLine).text
        assert runs.startswith(" enter open  esc back  space mark  c compare  / filter ")
        await press(pilot, "enter")
        run = console.screen.query_one(KeyLine).text
        assert run.startswith(" esc back  space play  left/right seek  -/+ speed ")
        assert run.endswith(" ? help  q quit ")
