from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from edgelab import store
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.lab import Lab
from edgelab.presets import quick
from edgelab.queue import queued
from edgelab.records import Outcome, Sample, StepStarted
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from screens.app import Console
from screens.dialogs import Ask, Edit, Leave
from screens.lab import FIRST_VISIT, LabScreen
from screens.model_form import ModelForm
from screens.run import RunScreen
from screens.task_form import FinetuningForm
from screens.widgets.settings_table import SettingsTable
from tests.screens.conftest import BOARD, press, settle, write_profiles
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
WIDE = (120, 40)


def lab_of(console: Console) -> LabScreen:
    screen = console.screen_stack[0]
    assert isinstance(screen, LabScreen)
    return screen


async def test_the_first_visit_says_what_to_do(open_console: Opener) -> None:
    async with open_console().run_test(size=WIDE) as pilot:
        await settle(pilot)
        shown = lab_of(pilot.app).panels.run_pane.text  # type: ignore[arg-type]
        assert shown.replace("\n", " ").strip() == FIRST_VISIT


async def test_one_key_runs_the_quick_benchmark(
    open_console: Opener, home: Home, started: list[Home]
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "b")
        (folder,) = queued(home)
        spec = folder.read_spec()
        assert (spec.settings, spec.title) == quick()
        assert started[:1] == [home]
        assert lab_of(console).live is not None
        assert "#1" in lab_of(console).panels.run_pane.text


async def test_r_runs_what_is_chosen(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        # On to datasets, on to settings; fp16 off, one thread less.
        await press(pilot, "tab", "tab", "down", "space", "down", "down", "down", "left", "r")
        (folder,) = queued(home)
        settings = folder.read_spec().settings
        assert settings.precisions == (Precision.FP32, Precision.INT8)
        assert (settings.threads, settings.model, settings.dataset) == (
            3,
            "yolov8n-shapes",
            "shapes",
        )


async def test_a_setting_is_typed_and_nonsense_refused(open_console: Opener) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "tab", "tab", "down", "down", "down", "enter")
        assert isinstance(console.screen, Edit)
        console.screen.query_one(Input).value = "high"
        await press(pilot, "enter")
        assert isinstance(console.screen, Edit), "nonsense is not taken"
        console.screen.query_one(Input).value = "0.25 0.75"
        await press(pilot, "enter")
        assert lab_of(console).settings.thresholds == (0.25, 0.75)


async def test_a_run_is_watched_live_to_its_end(open_console: Opener, record: Recorder) -> None:
    run = record(1).queue().begin().start_pass(Precision.FP32).measure(Precision.FP32, 0, 30)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        lab = lab_of(console)
        assert "30 of 240 images" in lab.panels.run_pane.text
        assert "soc-thermal" in lab.panels.board_pane.text
        assert "p90 64+ img" in lab.panels.latency_pane.text, "a p90 of 29 images is no p90"
        assert lab.results.rows == []
        run.measure(Precision.FP32, 30, 80).end_pass(Precision.FP32)
        lab.tick()
        assert "80 of 240 images" in lab.panels.run_pane.text
        assert [row.summary.precision for row in lab.results.rows] == [Precision.FP32] * 3
        with JournalWriter(run.folder.life) as life:
            life.append(StepStarted(run.t, "fp16", 4301))
        lab.tick()
        assert "fp16 (2 of 3) · starting" in lab.panels.run_pane.text
        run.end(Outcome.KILLED, "fp16: killed by SIGKILL, by whom is not known")
        lab.tick()
        await settle(pilot)
        assert "killed" in lab.panels.run_pane.text
        assert "by whom is not known" in lab.panels.run_pane.text
        assert console.snapshot.current is None


async def test_a_run_of_another_console_appears(open_console: Opener, record: Recorder) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        run = record(7).queue().begin()
        console.look()
        await settle(pilot)
        assert "#7" in lab_of(console).panels.run_pane.text
        run.end(Outcome.FINISHED)
        waiting = record(8).queue()
        console.look()
        await settle(pilot)
        lab_of(console).tick()
        console.look()
        await settle(pilot)
        live = lab_of(console).live
        assert live is not None
        assert live.folder == waiting.folder, "the next in line is watched next"


async def test_at_rest_old_and_new_consoles_show_the_newest_run(
    open_console: Opener, record: Recorder
) -> None:
    record(3, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert "#3" in panels_text(console)
        assert lab_of(console).has_class("-tab-setup"), "only a run that is on comes to the front"
        record(5, images=12).complete()
        console.look()
        await settle(pilot)
        shown = panels_text(console)
        assert "#5" in shown
        assert "finished" in shown
    later = open_console()
    async with later.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert panels_text(later) == shown


def panels_text(console: Console) -> str:
    panels = lab_of(console).panels
    return "\n".join(
        pane.text for pane in (panels.run_pane, panels.latency_pane, panels.board_pane)
    )


async def test_the_panels_say_the_same_as_the_record(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    """What was on screen at the end of a run is what its record says."""
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        for precision in DETECTOR_PRECISIONS:
            run.start_pass(precision).measure(precision, 0, 80).end_pass(precision)
            lab_of(console).tick()
        run.end()
        lab_of(console).tick()
        await settle(pilot)
        live = lab_of(console).live
        assert live is not None
        assert live.projection.record() == Lab(home).record(run.folder)


async def test_s_stops_after_asking(open_console: Opener, record: Recorder) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "s")
        assert isinstance(console.screen, Ask)
        await press(pilot, "n")
        assert not run.folder.stop_request.exists()
        await press(pilot, "s", "y")
        assert run.folder.stop_request.exists()


async def test_q_leaves_at_once_without_a_run(open_console: Opener, record: Recorder) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "q")
        assert not console.is_running


async def test_q_asks_with_a_run_on(open_console: Opener, record: Recorder) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "q")
        assert isinstance(console.screen, Leave)
        await press(pilot, "escape")
        assert isinstance(console.screen, LabScreen)
        await press(pilot, "q", "d")
        assert not console.is_running
    assert not run.folder.stop_request.exists(), "detached: the run goes on"


async def test_detached_the_console_says_how_to_come_back(
    open_console: Opener, record: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(8).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "q", "enter")
        assert not console.is_running
    assert not run.folder.stop_request.exists()
    assert capsys.readouterr().err == f"run #8 goes on: edgelab watch {run.id}\n"


async def test_q_can_stop_the_run(open_console: Opener, record: Recorder) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "q", "s")
        assert not console.is_running
    assert run.folder.stop_request.exists()


async def test_enter_on_a_result_opens_its_run(open_console: Opener, record: Recorder) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3", "enter")
        assert isinstance(console.screen, RunScreen)
        await press(pilot, "escape")
        assert isinstance(console.screen, LabScreen)


async def test_a_broken_profile_is_a_row_with_its_problem(
    open_console: Opener, profiles: Path, home: Home, started: list[Home]
) -> None:
    write_profiles(home.profiles, {"a-broken-one": "schema_version = 'x'"}, {})
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        lab = lab_of(console)
        assert [row.mark for row in lab.models.rows] == ["broken", "fits"]
        await press(pilot, "home")
        # Where the words break depends on how long the path of this test is.
        assert "field `task`" in " ".join(lab.panels.run_pane.text.split())
        await press(pilot, "r")
        assert queued(home) == []


async def test_a_model_that_does_not_fit_is_asked_about(
    open_console: Opener, profiles: Path, home: Home
) -> None:
    os.truncate(profiles / "models/yolov8n-shapes/model.onnx", 900_000_000)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert lab_of(console).models.rows[0].mark == "no"
        await press(pilot, "r")
        assert isinstance(console.screen, Ask)
        await press(pilot, "n")
        assert queued(home) == []
        await press(pilot, "r", "y")
        assert len(queued(home)) == 1


async def test_gauges_at_rest_move_with_a_key_only(open_console: Opener) -> None:
    console = open_console()
    readings: list[Sample] = []

    def read() -> Sample:
        readings.append(BOARD)
        return BOARD

    console.read_board = read
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert len(readings) == 1
        await press(pilot, "tab")
        assert len(readings) == 1, "not more than once a second"
        lab_of(console)._rested_at = lab_of(console)._rested_at.replace(second=0)
        await press(pilot, "tab")
        assert len(readings) == 2


async def test_a_small_terminal_folds_into_tabs(open_console: Opener, record: Recorder) -> None:
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        lab = lab_of(console)

        def seen() -> list[str]:
            return [s for s in ("#setup", "#live", "#results") if lab.query_one(s).display]

        assert seen() == ["#setup"]
        await press(pilot, "3")
        assert seen() == ["#results"]
        record(1).queue().begin()
        console.look()
        await settle(pilot)
        assert seen() == ["#live"], "a run that begins is shown"


async def test_results_are_exported(open_console: Opener, record: Recorder, home: Home) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "e")
        assert console.written == home.exports / "results-20260529-093005.csv"
        assert console.written.read_text().count("yolov8n-shapes") == 9
        await press(pilot, "Y")
        assert console.clipboard == str(console.written)


async def test_results_are_filtered_sorted_and_exported_as_shown(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "slash", *"int8", "enter")
        screen = console.screen
        assert isinstance(screen, LabScreen)
        assert [row.summary.precision.value for row in screen.results.rows] == ["int8"] * 3
        await press(pilot, *"oooo", "O")
        thresholds = [row.counts.threshold for row in screen.results.rows if row.counts]
        assert thresholds in ([0.7, 0.5, 0.3], [0.3, 0.5, 0.7])
        assert "Results ·" in str(screen.results.border_title)
        await press(pilot, "e")
        assert console.written is not None
        assert console.written.read_text().count("yolov8n-shapes") == 3
        await press(pilot, "escape")
        assert len(screen.results.rows) == 9


async def test_the_selected_row_is_copied(open_console: Opener, record: Recorder) -> None:
    record(1).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3", "y")
        assert console.clipboard.startswith("1\tyolov8n-shapes\tfp32\tfinished\t0.30")


async def test_all_three_sets_of_colours(open_console: Opener) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        seen = [console.theme]
        for _ in range(3):
            await press(pilot, "t")
            seen.append(console.theme)
        assert seen == ["terminal", "dark", "light", "terminal"]


async def test_the_palette_runs_an_action(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p", *"benchmark")
        await press(pilot, "enter")
        assert len(queued(home)) == 1


async def test_after_a_run_the_gauges_are_at_rest_again(
    open_console: Opener, record: Recorder
) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        lab = lab_of(console)
        assert "at rest" not in lab.panels.board_pane.text
        run.end(Outcome.FINISHED)
        lab.tick()
        await settle(pilot)
        assert "at rest · read at 09:30:05" in lab.panels.board_pane.text
        assert "runner" not in lab.panels.board_pane.text


async def test_a_run_that_was_deleted_is_forgotten(open_console: Opener, record: Recorder) -> None:
    run = record(1).queue().begin().start_pass(Precision.FP32).measure(Precision.FP32, 0, 20)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        lab = lab_of(console)
        run.end_pass(Precision.FP32).end(Outcome.FINISHED)
        lab.tick()
        await settle(pilot)
        assert lab.results.rows
        await press(pilot, "a", "d", "y", "escape")
        assert lab.results.rows == []
        assert lab.live is None


async def test_ctrl_c_says_how_to_leave(open_console: Opener) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+c")
        assert console.is_running


async def test_a_second_run_waits_and_says_so(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    record(1).queue().begin()
    home.sequence.write_text("1")
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "b")
        assert console.snapshot.state == "run #1 running · 1 waiting"
        (notice,) = console._notifications
        assert notice.message == "run #2 waits: 1 before it"


async def test_a_run_whose_supervisor_died_while_it_was_watched_has_an_end(
    open_console: Opener, record: Recorder
) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        console.recover_active()
        await settle(pilot)
        assert console.snapshot.state == "run #1 running"
        run.close()
        console.recover_active()
        await settle(pilot)
        console.look()
        await settle(pilot)
        (ended,) = console.snapshot.over
        assert (ended.outcome, console.snapshot.active) == (Outcome.INTERRUPTED, ())


async def test_a_journal_of_a_newer_edgelab_is_said_and_nothing_falls(
    open_console: Opener, record: Recorder
) -> None:
    run = record(1).queue().begin()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        with run.folder.items.open("w") as file:
            file.write('{"type":"header","journal":"items","version":99}\n')
        lab_of(console).tick()
        await settle(pilot)
        (notice,) = console._notifications
        assert "version 99" in notice.message
        assert not lab_of(console).moving
        assert console.is_running


async def test_a_lab_that_goes_out_of_reach_is_said_once(
    open_console: Opener, record: Recorder, home: Home
) -> None:
    record(1, images=12).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        away = home.root.rename(home.root.with_name("away"))
        home.root.touch()  # as where a disk was taken out
        for _ in range(2):
            console.look()
            await settle(pilot)
        (notice,) = console._notifications
        assert notice.message == f"{home.index}: Not a directory"
        assert console.snapshot.state == "the lab cannot be read"
        assert len(console.snapshot.over) == 1
        home.root.unlink()
        away.rename(home.root)
        console.look()
        await settle(pilot)
        assert console.snapshot.state == "no run on"


async def test_an_index_that_cannot_be_mended_yet_is_no_empty_lab(
    open_console: Opener, record: Recorder, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(1, images=12).complete()
    home.index.write_text("damaged")
    monkeypatch.setattr(store, "replace_file", no_room)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert console.snapshot.state == "the lab cannot be read"
        monkeypatch.setattr(store, "replace_file", replace_file)
        console.look()  # the file is as it was: it is read again all the same
        await settle(pilot)
        assert console.snapshot.state == "no run on"


def no_room(path: Path, *_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


async def test_a_vision_language_model_is_asked_with_settings_of_its_own(
    open_console: Opener, home: Home
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        lab = lab_of(console)
        before = lab.settings
        await press(pilot, "+", *"asked", "tab", *"nowhere", "enter")
        assert isinstance(console.screen, ModelForm), "neither a folder nor a hub id"
        await press(pilot, *"/at", "enter")
        await settle(pilot)
        assert lab.models.row is not None
        assert lab.models.row.entry.require().repository == "nowhere/at"
        told = [notice.message for notice in console._notifications]
        assert told == ["asked is kept, and chosen in the list of models"]
        rows = [row.title for row in lab.query_one(SettingsTable).rows]
        assert {"nf4", "ask for", "prompt", "share image"} <= set(rows)
        assert "thresholds" not in rows
        await press(pilot, "tab", "tab")
        await press(pilot, *["down"] * rows.index("ask for"), "right", "r")
        (folder,) = queued(home)
        settings = folder.read_spec().settings
        assert isinstance(settings, AskSettings)
        assert (settings.model, settings.prompts, settings.prompt) == ("asked", "classes", "choose")
        await press(pilot, "f")
        assert isinstance(console.screen, FinetuningForm)
        assert console.screen.field("model").value == "asked"
        await press(pilot, "escape")
        lab.models.select(before.model)
        await settle(pilot)
        assert lab.settings == before
        assert "thresholds" in [row.title for row in lab.query_one(SettingsTable).rows]
        lab.models.action_first()  # another task's, in the place where the filter puts "asked"
        await settle(pilot)
        lab.models.show_only("asked")
        await settle(pilot)
        assert isinstance(lab.settings, AskSettings)
