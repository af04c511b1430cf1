from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Static

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.queue import queued
from edgelab.record import PassSummary
from edgelab.records import Outcome
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.studies import Studies
from edgelab.study import Study, StudyProfile, StudyRun
from edgelab.study_editing import save_profile
from edgelab.study_progress import Cell, StudyProgress
from screens.app import Console
from screens.compare import CompareScreen
from screens.studies import StudiesScreen
from screens.study import StudyScreen, study_columns
from screens.study_form import StudyForm
from screens.widgets.table import Table
from tests.edgelab.test_scored import carried_out
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

Opener = Callable[..., Console]
Recorder = Callable[..., RecordedRun]
WIDE = (120, 40)
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])

FINE_TUNED = carried_out()  # of the shipped study, which the tests of screens have not
MODELS = ("yolov8n-shapes", "yolo11s")
PROFILE = StudyProfile(
    schema_version=1,
    title="Counting shapes",
    settings={"task": "detect", "precisions": ["fp32", "int8"], "thresholds": [0.3, 0.5, 0.7]},
    axes={
        "dataset": ("shapes",),
        "model": ("yolov8n-shapes", "ssdlite320-shapes"),
        "threads": (2,),
    },
)


@pytest.fixture
def studies(home: Home, monkeypatch: pytest.MonkeyPatch) -> Studies:
    monkeypatch.setattr("edgelab.studies.start_supervisor", lambda _: None)
    ids = count(0xA0)
    monkeypatch.setattr("edgelab.studies.new_run_id", lambda: f"{next(ids):08x}")
    monkeypatch.setattr("edgelab.studies.time.time", lambda: 1_780_000_000.0)
    return Studies(Lab(home))


def carry_on(record: Recorder, studies: Studies, study: Study, place: int) -> RecordedRun:
    """Let a run of the study be recorded into the folder that the study made for it."""
    spec = studies.lab.folder(study.runs[place].run).read_spec()
    return record(spec.number, settings=spec.settings, images=80, spec=spec)


async def test_the_matrix_fills_in_and_the_time_left_is_told(
    open_console: Opener, record: Recorder, studies: Studies
) -> None:
    study = studies.begin("mine", PROFILE)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        console.push_screen(StudyScreen(console.face, study))
        await settle(pilot)
        screen = console.screen
        assert isinstance(screen, StudyScreen)
        assert [cell.outcome for cell in screen.table.rows] == [Outcome.QUEUED] * 4
        run = carry_on(record, studies, study, 0).begin()
        run.start_pass(Precision.FP32).measure(Precision.FP32, 0, 80).end_pass(Precision.FP32)
        run.start_pass(Precision.INT8).measure(Precision.INT8, 0, 40)
        console.look()
        await settle(pilot)
        states = [row_text(screen, place) for place in range(4)]
        assert "finished" in states[0]
        assert "running 50 %" in states[1]
        assert "queued" in states[2]
        assert screen.progress.time_left_s is not None
        assert screen.moving


def row_text(screen: StudyScreen, place: int) -> str:
    row = screen.table.rows[place]
    return " ".join(column.text(row) for column in screen.table.columns)


async def test_c_lays_the_study_beside_a_published_table(
    open_console: Opener, record: Recorder, studies: Studies
) -> None:
    study = studies.begin("mine", replace(PROFILE, reference="counting-cv"))
    carry_on(record, studies, study, 0).complete()
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        console.push_screen(StudyScreen(console.face, study))
        await settle(pilot)
        await press(pilot, "c")
        offered = [row.name for row in console.screen.query_one(Table).rows]
        assert "#1" in offered
        assert f"study:{study.id}" not in offered, "itself"
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(console.screen, CompareScreen)
        left = console.screen.comparison.left
        assert left.title == f"study {study.id}: Counting shapes"
        assert console.screen.comparison.right.title == "reference:counting-cv"
        assert len(left.rows) >= 6


async def test_stop_and_go_on(open_console: Opener, home: Home, studies: Studies) -> None:
    study = studies.begin("mine", PROFILE)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        console.push_screen(StudyScreen(console.face, study))
        await settle(pilot)
        await press(pilot, "s", "y")
        await settle(pilot)
        assert not queued(home)
        await press(pilot, "g")
        await settle(pilot)
        assert [folder.id for folder in queued(home)] == [each.run for each in study.runs]


async def form_of_mine(home: Home, pilot: Pilot[None]) -> StudyForm:
    """The form of the study kept as `mine`, opened from the list of studies."""
    save_profile(home, "mine", PROFILE)
    await settle(pilot)
    await press(pilot, "m")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, StudiesScreen)
    screen.table.select("profile mine")
    await press(pilot, "enter")
    form = pilot.app.screen
    assert isinstance(form, StudyForm)
    return form


async def test_a_study_is_chosen_changed_kept_and_begun(
    open_console: Opener, home: Home, studies: Studies
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        form = await form_of_mine(home, pilot)
        form.field("precisions").value = "fp32 fp17"
        await press(pilot, "enter")
        assert console.screen is form  # fp17 is no precision
        form.field("precisions").value = "fp32 fp16"
        form.field("model").value = "yolov8n-shapes yolov8n-shape"
        await press(pilot, "enter")
        assert console.screen is form
        assert "did you mean yolov8n-shapes?" in str(form.query_one(".problem", Static).content)
        form.field("model").value = "yolov8n-shapes"
        form.field("threads").value = "1, 2"
        form.field("save as").value = "kept"
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(console.screen, StudyScreen)
        assert len(queued(home)) == 2  # one and two threads
        kept = Catalogue(home).study("kept")
        assert kept is not None
        assert kept.require().axes["threads"] == (1, 2)


async def test_a_name_that_leads_elsewhere_is_refused(
    open_console: Opener, home: Home, studies: Studies
) -> None:
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        form = await form_of_mine(home, pilot)
        form.field("model").value = "yolov8n-shapes"
        form.field("save as").value = "../../out"
        await press(pilot, "enter")
        await settle(pilot)
        assert not queued(home)
        assert not list(Path(home.root).glob("**/out.toml"))


@SIZES
def test_matrix(
    snap_compare: Callable[..., bool],
    open_console: Opener,
    record: Recorder,
    studies: Studies,
    size: tuple[int, int],
) -> None:
    study = studies.begin("mine", replace(PROFILE, reference="counting-cv"))
    carry_on(record, studies, study, 0).complete()
    run = carry_on(record, studies, study, 1).begin()
    run.start_pass(Precision.FP32).measure(Precision.FP32, 0, 61)
    console = open_console()

    async def show(pilot):  # type: ignore[no-untyped-def]
        await settle(pilot)
        console.push_screen(StudyScreen(console.face, study))
        await settle(pilot)

    assert snap_compare(console, terminal_size=size, run_before=show)


@SIZES
def test_form(
    snap_compare: Callable[..., bool],
    open_console: Opener,
    studies: Studies,
    size: tuple[int, int],
) -> None:
    console = open_console()

    async def show(pilot):  # type: ignore[no-untyped-def]
        await settle(pilot)
        console.push_screen(StudyForm(console.face, PROFILE, Catalogue(console.lab.home)))
        await settle(pilot)

    assert snap_compare(console, terminal_size=size, run_before=show)


async def test_the_list_of_studies_is_exported_as_shown(
    open_console: Opener, studies: Studies
) -> None:
    study = studies.begin("mine", PROFILE)
    console = open_console()
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "m")
        await settle(pilot)
        await press(pilot, "slash", *study.id, "enter", "e")
        assert console.written is not None
        (row,) = csv.DictReader(console.written.read_text().splitlines())
        assert (row["name"], row["id"], row["done"], row["of"]) == ("mine", study.id, "0", "12")
        assert row["state"] == "waiting"
        screen = console.screen
        assert isinstance(screen, StudiesScreen)
        assert "board" not in [column.title for column in screen.table.columns], "none is imported"


def test_a_study_that_fine_tunes_tells_what_was_attained_before_and_after() -> None:
    planned = tuple(StudyRun(each.spec.id, each.spec.settings) for each in FINE_TUNED)
    study = Study(1, "0" * 8, "chart-classification", "t", 0.0, planned)
    cells = StudyProgress.of(study, {each.spec.id: each for each in FINE_TUNED}).cells
    columns = study_columns(study, {})
    assert [each.title for each in columns] == [
        "model", "adapters", "state", "zero-shot", "fine-tuned", "dataset", "run",
    ]  # fmt: skip
    texts = [[each.text(cell) for each in columns] for cell in cells]
    assert texts[0][1:5] == ["llm nf4", "finished", "0.800", "0.800"]
    assert texts[1][1:5] == ["llm+vision nf4", "finished", "–", "0.800"]


def test_a_study_that_asks_tells_why_there_is_no_error() -> None:
    settings = AskSettings(model="smolvlm-256m", dataset="shapes", threads=2)
    planned = StudyRun("0" * 8, settings)
    study = Study(1, "0" * 8, "counting-vlm", "t", 0.0, (planned,))
    (column,) = (each for each in study_columns(study, {}) if each.title == "no count")
    summary = PassSummary(Precision.FP32, Outcome.FINISHED, unanswered=50)
    assert column.text(Cell(planned, Precision.FP32, None, summary)) == "50"
    assert column.sparse, "a study in which all was answered, or nothing asked, has none"
