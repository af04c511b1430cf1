from __future__ import annotations

import csv
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from edgelab.energy import config
from edgelab.energy.config import CommandConfig, PowerConfig, PowerSettings, TasmotaConfig
from edgelab.energy.editing import KINDS, text_fields
from edgelab.energy.secret import Secret
from edgelab.home import Home
from screens import power
from screens.app import Console
from screens.dialogs import Ask, Edit
from screens.power import NEXT_RUN, PowerScreen
from screens.power_form import HINTS, WHAT, SourceForm
from tests.edgelab.energy import boards
from tests.edgelab.energy.fake_plug import FakePlug, shows
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun
from tests.screens.test_hostile import screen_text

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
Compare = Callable[..., bool]
WIDE = (120, 40)
SIZES = pytest.mark.parametrize("size", [WIDE, (80, 24)], ids=["120x40", "80x24"])

PRINTS = CommandConfig(name="psu", command=(sys.executable, "-c", "print(4.25)"))
PASSWORD = "hunter2"


def power_of(console: Console) -> PowerScreen:
    assert isinstance(console.screen, PowerScreen)
    return console.screen


def watts(console: Console) -> dict[str, float | None]:
    return {entry.name: entry.watts for entry in power_of(console).table.rows}


def read_names(console: Console) -> list[str]:
    return [entry.name for entry in power_of(console).table.rows if entry.rank is not None]


def problem(console: Console) -> str:
    return str(console.screen.query_one(".problem", Static).render())


def notices(console: Console) -> str:
    return "\n".join(str(notice.message) for notice in console._notifications)


def keep(home: Home, *sources: config.AnySourceConfig, use: tuple[str, ...] = ()) -> None:
    plugs = (isinstance(source, config.PlugConfig) for source in sources)
    passwords = tuple(Secret(PASSWORD) if plug else None for plug in plugs)
    config.save(home.power_settings, PowerSettings(PowerConfig(source=sources, use=use), passwords))


def board(home: Home) -> Path:
    """The tree of the console's board."""
    return home.root.parent / "board"


@pytest.fixture
def plug() -> Iterator[FakePlug]:
    server = FakePlug()
    server.behaviour = shows({"StatusSNS": {"ENERGY": {"Power": 3, "Total": 0.5}}})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def type_in(pilot: Pilot[None], **texts: str) -> None:
    """Fill fields of the form; a dot in a name is written __."""
    form = pilot.app.screen
    assert isinstance(form, SourceForm)
    for name, text in texts.items():
        field = form.field(name)
        assert isinstance(field, Input)
        field.value = text
    await pilot.pause()


async def add(pilot: Pilot[None], kind: str) -> None:
    await press(pilot, "plus", *["down"] * list(WHAT).index(kind), "enter")


def test_every_kind_and_every_key_has_words() -> None:
    assert set(WHAT) == set(KINDS)
    assert {field.name for kind in KINDS for field in text_fields(kind)} == set(HINTS)


async def test_sources_are_read_once_when_the_screen_opens(
    open_console: Opener, home: Home
) -> None:
    boards.ina226(board(home), watts=3.5)
    keep(home, PRINTS)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert watts(console)["ina226"] == 3.5
        assert watts(console)["psu"] == 4.25
        assert "no battery" in screen_text(console)
        boards.ina226(board(home), watts=5.0)
        await press(pilot, "m")
        assert watts(console)["ina226"] == 5.0
        await press(pilot, "w", "escape")
        assert not isinstance(console.screen, PowerScreen), "w opens it once"


async def test_a_run_that_is_on_is_not_disturbed(
    open_console: Opener, home: Home, record: Recorder
) -> None:
    record(1).queue().begin()
    keep(home, PRINTS)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert watts(console)["psu"] is None
        assert NEXT_RUN in screen_text(console)
        await press(pilot, "m")
        assert watts(console)["psu"] == 4.25
        await press(pilot, "i", "5", "enter")
        assert "counts from the next run on" in notices(console)


async def test_a_command_is_added_and_read(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert "No power source" in screen_text(console)
        await add(pilot, "command")
        await press(pilot, *"psu", "down")
        await type_in(pilot, command=f"{sys.executable} -c 'print(4.25)'")
        await press(pilot, "down", "left", "enter")  # the method: estimated
        assert watts(console)["psu"] == 4.25
        entry = power_of(console).table.row
        assert entry is not None
        assert entry.name == "psu", "the cursor is on it"
        assert "~4.25" in screen_text(console)
    (source,) = config.load(home.power_settings).config.source
    assert isinstance(source, CommandConfig)
    assert source.method == "estimated"
    assert home.power_settings.stat().st_mode & 0o777 == 0o600


async def test_a_wrong_field_is_named_and_nothing_is_written(
    open_console: Opener, home: Home
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        await add(pilot, "tasmota")
        await press(pilot, "enter")
        assert problem(console) == "host: must be given"
        await type_in(pilot, host="shelf.lan", period_s="0.01")
        await press(pilot, "enter")
        assert "period_s = 0.01" in problem(console)
        await type_in(pilot, host="http://shelf.lan", period_s="1")
        await press(pilot, "enter")
        assert "host: a name or an address alone" in problem(console)
        await press(pilot, "escape")
        assert not home.power_settings.exists()


async def test_a_password_is_nowhere_to_be_seen(
    open_console: Opener, home: Home, plug: FakePlug
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        await add(pilot, "tasmota")
        await type_in(pilot, name="shelf", host="127.0.0.1", port=str(plug.port))
        form = console.screen
        assert isinstance(form, SourceForm)
        assert form._password is not None
        form._password.focus()
        await press(pilot, *PASSWORD)
        seen = [screen_text(console)]
        assert "●" * len(PASSWORD) in seen[0]
        await press(pilot, "shift+home", "ctrl+c", "ctrl+x")
        assert console.clipboard == ""
        assert form._password.value == PASSWORD
        await press(pilot, "enter")
        assert watts(console)["shelf"] == 3.0
        assert f"password={PASSWORD}" in plug.requests[0], "the plug was asked with it"
        assert "password set" in screen_text(console)
        seen.append(screen_text(console))
        await press(pilot, "y", "e", "enter")
        seen += [screen_text(console), console.clipboard, notices(console)]
        assert console.written is not None
        seen.append(console.written.read_text())
        # Changed without a new one, it keeps the old.
        await type_in(pilot, name="bench")
        await press(pilot, "enter")
        seen += [screen_text(console), notices(console)]
        assert "shelf" in "".join(seen)
        assert PASSWORD not in "".join(seen)
    settings = config.load(home.power_settings)
    assert settings.config.source[0].name == "bench"
    password = settings.password_of(0)
    assert password is not None
    assert password.reveal() == PASSWORD


async def test_ascii_means_every_character(open_console: Opener, home: Home) -> None:
    keep(home, TasmotaConfig(name="shelf", host="127.0.0.1", port=1))
    console = open_console(ascii_only=True)
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        seen = [screen_text(console)]
        await press(pilot, "c")
        form = console.screen
        assert isinstance(form, SourceForm)
        assert form._password is not None
        form._password.focus()
        await press(pilot, *PASSWORD)
        seen.append(screen_text(console))
        assert "".join(seen).isascii()
        assert "*" * len(PASSWORD) in seen[1]


async def test_a_source_is_removed_after_asking(open_console: Opener, home: Home) -> None:
    keep(home, TasmotaConfig(name="shelf", host="127.0.0.1", port=1), PRINTS, use=("psu", "shelf"))
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w", "down", "d")
        assert isinstance(console.screen, Ask)
        await press(pilot, "escape")
        assert len(config.load(home.power_settings).config.source) == 2
        await press(pilot, "d", "y")
        assert read_names(console) == ["psu"]
        assert PASSWORD not in home.power_settings.read_text()
        await press(pilot, "end", "d")
        assert isinstance(console.screen, PowerScreen), "what is found by itself is in no file"
        assert "not in power.toml" in notices(console)


async def test_a_source_is_made_to_count_first_and_back(open_console: Opener, home: Home) -> None:
    boards.ina226(board(home))
    keep(home, PRINTS, TasmotaConfig(name="shelf", host="127.0.0.1", port=1))
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        usual = read_names(console)
        assert usual[2] == "shelf"
        await press(pilot, "down", "down", "f")
        assert read_names(console) == ["shelf", *usual[:2]]
        await press(pilot, "u")
        assert read_names(console) == usual
        assert config.load(home.power_settings).config.use == ()
        await press(pilot, "end", "f")
        assert "cannot count" in notices(console)


async def test_what_the_order_leaves_out_can_be_brought_back(
    open_console: Opener, home: Home
) -> None:
    keep(home, PRINTS, CommandConfig(name="other", command=("x",)), use=("psu", "lost"))
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert read_names(console) == ["psu"]
        power_of(console).table.select(("other", power.Origin("command", 1)))
        await press(pilot, "f")
        assert read_names(console) == ["other", "psu"]
        assert config.load(home.power_settings).config.use == ("other", "psu", "lost")
        power_of(console).table.select(("lost", None))
        await press(pilot, "d")
        assert "u reads all sources again" in notices(console)


async def test_the_idle_baseline_is_typed(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w", "i")
        assert isinstance(console.screen, Edit)
        await press(pilot, "x", "enter")
        assert isinstance(console.screen, Edit), "a word is no number of seconds"
        await press(pilot, "ctrl+u", "3", "0", "enter")
        assert config.load(home.power_settings).config.idle_baseline_s == 30


@pytest.mark.parametrize("text", ["idle_baseline_s = -1", 'password = "hunter2'])
async def test_a_broken_file_is_shown_and_left_alone(
    open_console: Opener, home: Home, text: str
) -> None:
    home.root.mkdir(parents=True)
    home.power_settings.write_text(text)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        shown = screen_text(console)
        assert "power.toml" in shown
        assert "Mend it, then press m." in shown
        await press(pilot, "plus", "c", "d", "f", "i", "u", "e")
        assert isinstance(console.screen, PowerScreen)
        assert home.power_settings.read_text() == text
        assert PASSWORD not in screen_text(console) + notices(console)
        home.power_settings.write_text("idle_baseline_s = 1")
        await press(pilot, "m")
        assert "no battery" in screen_text(console)
        home.power_settings.write_text(text)
        await press(pilot, "m", "plus")
        assert isinstance(console.screen, PowerScreen), "what was known before counts no more"
        assert "Mend it" in screen_text(console)


async def test_a_file_that_breaks_meanwhile_is_left_alone(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w", "i", "3")
        home.root.mkdir(parents=True, exist_ok=True)
        home.power_settings.write_text("broken")
        await press(pilot, "enter")
        assert home.power_settings.read_text() == "broken"
        assert "not valid TOML" in screen_text(console)


async def test_a_hanging_source_holds_up_nothing(
    open_console: Opener, home: Home, plug: FakePlug
) -> None:
    """The others show their watts, the keys work, and the console ends while one hangs."""
    plug.behaviour = lambda handler: handler.server.over.wait() and None
    hangs = TasmotaConfig(name="hangs", host="127.0.0.1", port=plug.port, timeout_s=60.0)
    keep(home, PRINTS, hangs)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("w")
        while not (
            isinstance(console.screen, PowerScreen) and watts(console).get("psu") is not None
        ):
            await pilot.pause(0.02)
        assert {e.name: e.reason for e in power_of(console).table.rows}["hangs"] == "is being read"
        await pilot.press("a")
        await pilot.press("escape")
        await pilot.press("q")
    assert not console.is_running
    assert plug.requests, "it was asked and is still hanging"
    hanging = [thread for thread in threading.enumerate() if thread.name == "background"]
    assert [thread.daemon for thread in hanging] == [True], "it ends with the process"


async def test_filter_sort_export(open_console: Opener, home: Home) -> None:
    boards.ina226(board(home), watts=3.5)
    keep(home, PRINTS)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "w", "o", "o", "O")
        assert watts(console)
        assert power_of(console).table.rows[0].name == "rapl"
        await press(pilot, "slash", *"board input", "enter", "e")
        assert console.written is not None
        with console.written.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["source"], row["watts"]) for row in rows] == [
            ("psu", "4.25"),
            ("ina226", "3.5"),
        ]


@SIZES
def test_power(
    snap_compare: Compare, open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    boards.ina226(board(home), watts=3.512)
    keep(
        home, PRINTS, TasmotaConfig(name="shelf", host="127.0.0.1", port=1), use=("ina226", "shelf")
    )

    async def steps(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "w", "down")

    assert snap_compare(open_console(), terminal_size=size, run_before=steps)


@SIZES
def test_form(
    snap_compare: Compare, open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    keep(home, TasmotaConfig(name="shelf", host="127.0.0.1", port=1))

    async def steps(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "w", "c", "down", *"http://a", "enter")

    assert snap_compare(open_console(), terminal_size=size, run_before=steps)
