"""Foreign text on screen: shown as the characters it is, on one line, of bounded length."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgelab.home import Home
from edgelab.records import Outcome
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from screens.app import Console
from screens.lab import LabScreen
from screens.run import RunScreen
from tests.screens.conftest import DATASET, MODEL, press, settle, write_profiles
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]

HOSTILE = [
    "[red]x[/red]",
    "[/]",
    "[@click=app.quit]x[/]",
    "\x1b]0;evil\x07",
    "\x1b[2J\x9b31m",
    "=cmd()",
    "../../etc/passwd",
    "a\r\nb\tc",
    "\u202egnp.exe",
    "long " * 2000,
    "日本語" * 400,
]
FORBIDDEN = {chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))} | {"\u202e"}


def screen_text(console: Console) -> str:
    """Every character of the screen, as it goes to the terminal."""
    size = console.size
    lines = console.screen._compositor.render_strips(size)
    assert all(strip.cell_length == size.width for strip in lines)
    return "\n".join(strip.text for strip in lines)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_hostile_names_and_reasons(
    open_console: Opener, record: Recorder, text: str, ascii_only: bool
) -> None:
    name = text[:4000]
    run = record(
        1,
        settings=DetectSettings(model=name, dataset=name),
        title=name,
        image_name=text.replace("{", "(") + "{}",
        classes=(text, "b", "c", "d", "e"),
        images=12,
    )
    run.queue().begin().warn(text).start_pass(Precision.FP32).measure(Precision.FP32, 0, 12)
    console = open_console(ascii_only=ascii_only)
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        seen = [screen_text(console)]
        run.folder.log.write_text(text)
        run.end(Outcome.FAILED, text)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        lab.tick()
        await settle(pilot)
        seen.append(screen_text(console))
        console.say(text)
        await press(pilot, "a")
        seen.append(screen_text(console))
        await press(pilot, "enter")
        assert isinstance(console.screen, RunScreen)
        for key in "12345":
            await press(pilot, key)
            seen.append(screen_text(console))
        await press(pilot, "e", "y", "ctrl+p")
        seen.append(screen_text(console))
    shown = "".join(seen)
    assert not FORBIDDEN & (set(shown) - {"\n"})
    if "[red]" in text:
        assert "[red]x[/red]" in shown, "markup is text"
    if ascii_only:
        assert shown.isascii(), {c for c in shown if not c.isascii()}


@pytest.mark.parametrize("text", ["[red]x[/red]", "a [b", "x" * 200])
async def test_hostile_profile_names(open_console: Opener, home: Home, text: str) -> None:
    file_name = text.replace("/", "_")
    write_profiles(
        home.profiles, {file_name: MODEL.replace("model.onnx", "[bold].onnx")}, {file_name: DATASET}
    )
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        for table in (lab.models, lab.datasets):
            table.focus()
            for _ in table.rows:
                await press(pilot, "down")
        assert file_name[:12] in screen_text(console)
        await press(pilot, "tab", "r")
        assert not FORBIDDEN & (set(screen_text(console)) - {"\n"})
