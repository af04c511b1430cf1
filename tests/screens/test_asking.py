"""Questions on screen while they are answered: what is seen, and how few bytes it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_settings
from textual.drivers.headless_driver import HeadlessDriver

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.queue import queued
from edgelab.records import (
    Answering,
    AskedItem,
    Asking,
    AskStages,
    Outcome,
    Sample,
    StageTimes,
)
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.settings.convert_vlm import ConvertVlmSettings
from screens import app
from screens.app import Console
from screens.choice import asked_rows
from screens.face import Face
from screens.lab import LabScreen
from screens.run import RunScreen
from screens.widgets.charts import HistogramPane
from screens.widgets.picture import PicturePane
from screens.widgets.run_pane import RunPane
from tests.screens.conftest import press, settle
from tests.screens.recorded_run import RecordedRun

BYTES_A_SECOND = 6000
PRECISION = Precision.FP32
QUESTION = "How many circles are there in this image? Answer with a number only."


def answered(t: float, index: int, answer: str) -> AskedItem:
    return AskedItem(
        t=t, precision=PRECISION, index=index, image=f"{index // 5:06}.png",
        times=StageTimes(1.0, 2.0, 995.0, 0.1), truth={0: 4},
        counts=({0: int(answer)},) if answer.isdecimal() else (), evaluated=(0,),
        unanswered=None if answer.isdecimal() else "no number in it", question=QUESTION,
        answer=answer, stages=AskStages(2.0, 300.0, 200.0, 502.0, 495.0), tokens=6,
        prompt_tokens=100, image_tokens=64,
    )  # fmt: skip


@pytest.fixture
def asked(home: Home) -> Iterator[RecordedRun]:
    settings = AskSettings(model="smolvlm-256m", dataset="shapes", threads=4)
    run = RecordedRun(home, settings=settings, questions=400).queue().begin()  # type: ignore[arg-type]
    yield run.start_pass(PRECISION)
    run.close()


def console_of(run: RecordedRun, **face: Any) -> Console:
    return Console(
        Lab(run.home),
        replace(Face.of(ascii_only=False, low_bandwidth=False), tick_s=1e6, **face),
        board=lambda: Sample(t=1.0, cpu=(1.0, 2.0)),
        clock=lambda: datetime(2026, 5, 29, 9, 30, 5),
    )


async def test_the_image_is_shown_where_wanted_and_not_too_often(
    asked: RecordedRun, tmp_path: Path
) -> None:
    widgets = pytest.importorskip("textual_image.widget")
    images = pytest.importorskip("PIL.Image")
    for index in range(3):
        images.new("RGB", (40, 30), (80 * index, 0, 0)).save(tmp_path / f"{index}.png")
    console = console_of(asked, picture=widgets.HalfcellImage)
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        pane = lab.panels.picture_pane
        assert pane is not None
        assert not pane.display

        async def show(index: int, wait_s: float) -> str | None:
            asked.wait(wait_s)
            file = tmp_path / f"{index}.png"
            asked.tell(Asking(asked.t, index, file.name, str(file), QUESTION, 4))
            lab.tick()
            await pilot.pause()
            (image,) = pane.query(widgets.HalfcellImage)
            return str(image.image) if pane.display else None

        assert await show(0, 0) == str(tmp_path / "0.png")
        assert pane.region.height > 0
        assert await show(1, 1) == str(tmp_path / "0.png")
        assert await show(2, 5) == str(tmp_path / "2.png")
        assert await show(7, 5) is None  # no such file here


async def test_the_run_screen_shows_the_image_that_was_asked_about(
    asked: RecordedRun, tmp_path: Path
) -> None:
    widgets = pytest.importorskip("textual_image.widget")
    images = pytest.importorskip("PIL.Image")
    file = tmp_path / "a.png"
    images.new("RGB", (40, 30), (200, 0, 0)).save(file)
    asked.tell(Asking(asked.t, 0, file.name, str(file), QUESTION, 4)).wait(2)
    asked.answer(answered(asked.t, 0, "4"))
    shown_at = asked.t - asked.start - 1
    asked.end_pass(PRECISION).end()
    for size, is_shown in (((120, 40), True), ((80, 24), False)):
        console = console_of(asked, picture=widgets.HalfcellImage)
        async with console.run_test(size=size) as pilot:
            await settle(pilot)
            console.push_screen(RunScreen(console.face, console.snapshot.runs[0]))
            await settle(pilot)
            screen = console.screen
            assert isinstance(screen, RunScreen)
            pane = screen.query_one(PicturePane)
            assert not pane.display, "the run is over"
            screen.seek(shown_at)
            await pilot.pause()
            assert pane.display == is_shown
            if is_shown:
                (image,) = pane.query(widgets.HalfcellImage)
                assert image.region.area > 0
                assert screen.query_one(HistogramPane).region.right <= pane.region.x


async def test_g_starts_a_run_that_lacked_memory_again_with_less(
    home: Home, open_console: Callable[..., Console], record: Callable[..., RecordedRun]
) -> None:
    settings = AskSettings(model="smolvlm-256m", dataset="shapes", tiling=True, threads=4)
    run = record(1, settings=settings, questions=400).queue().begin().start_pass(PRECISION)
    reason = "the kernel killed it for memory (counted in its control group), in the stage "
    run.end_pass(PRECISION, Outcome.OUT_OF_MEMORY, f"{reason}vision encode")
    run.end(Outcome.OUT_OF_MEMORY, f"fp32: {reason}vision encode")
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        console.push_screen(RunScreen(console.face, console.snapshot.runs[0]))
        await settle(pilot)
        shown = " ".join(console.screen.query_one(RunPane).text.split())
        assert "in the stage vision encode" in shown
        await press(pilot, "G")
        (folder,) = queued(home)
        spec = folder.read_spec()
        assert spec.settings == replace_settings(settings, tiling=False)
        assert spec.title.endswith("without tiling")


async def test_g_says_why_there_is_nothing_to_try_again(
    home: Home, open_console: Callable[..., Console], record: Callable[..., RecordedRun]
) -> None:
    settings = AskSettings(model="smolvlm-256m", dataset="shapes", threads=4)
    record(1, settings=settings, questions=400).queue().begin().start_pass(PRECISION).end()
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        console.push_screen(RunScreen(console.face, console.snapshot.runs[0]))
        await settle(pilot)
        await press(pilot, "G")
        assert not queued(home)
        await press(pilot, "n")
        told = [notice.message for notice in console._notifications]
        assert "there is no other threshold in this run" in told


def test_a_model_with_files_of_other_precisions_says_which(home: Home) -> None:
    files = home.profiles / "hub" / "tiny" / "onnx"
    files.mkdir(parents=True)
    (home.profiles / "hub" / "tiny.toml").write_text(
        'schema_version = 1\ntitle = "t"\nfolder = "tiny"\n'
    )
    (files.parent / "config.json").write_text("{}")
    for part in ("vision_encoder", "embed_tokens", "decoder_model_merged"):
        (files / f"{part}_q4.onnx").touch()
    settings = AskSettings(model="tiny", dataset="shapes")
    (row,) = asked_rows(Catalogue(home).hub_models(), settings, None, [], home)
    assert (row.mark, row.reason) == ("lacks", "files of q4 only")


def test_what_is_not_in_a_folder_is_not_to_be_fetched(home: Home, tmp_path: Path) -> None:
    folder, settings = tmp_path / "checkpoint", AskSettings(model="mine", dataset="shapes")
    profile = home.profiles / "hub" / "mine.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(f'schema_version = 1\ntitle = "t"\nfolder = "{folder}"\n')

    def mark() -> tuple[str, str]:
        (row,) = asked_rows(Catalogue(home).hub_models()[:1], settings, None, [], home)
        return row.mark, row.reason

    assert mark() == ("broken", f"{folder}: is not there")
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert mark()[0] == "broken"
    assert "neither model.safetensors nor" in mark()[1]
    (folder / "model.safetensors").touch()
    assert mark() == ("?", "its files do not tell")


async def test_p_makes_the_onnx_files_of_the_chosen_model(
    home: Home, open_console: Callable[..., Console], profiles: Path
) -> None:
    hub = profiles / "hub" / "smolvlm-256m.toml"
    hub.parent.mkdir()
    hub.write_text('schema_version = 1\ntitle = "t"\nrepository = "lab/tiny"\n')
    console = open_console()
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        lab.models.select("smolvlm-256m")
        await settle(pilot)
        await press(pilot, "p")
        (folder,) = queued(home)
        spec = folder.read_spec()
        assert isinstance(spec.settings, ConvertVlmSettings)
        assert (spec.settings.model, spec.settings.name) == (
            "smolvlm-256m",
            "smolvlm-256m-converted",
        )
        assert spec.settings.precisions == (Precision.FP32,)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_answer_appears_beside_the_image_and_its_true_count(
    asked: RecordedRun, size: tuple[int, int]
) -> None:
    console = console_of(asked)
    async with console.run_test(size=size) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)

        def shown() -> str:
            lab.tick()
            return " ".join(lab.panels.run_pane.text.split())

        asked.tell(Asking(asked.t, 0, "000000.png", "/x/000000.png", QUESTION, 4))
        assert f"000000.png true 4 {QUESTION} ..." in shown()
        asked.tell(Answering(asked.t, "There"))
        asked.tell(Answering(asked.t, " are 3 cir"))
        assert f"{QUESTION} There are 3 cir" in shown()
        asked.answer(answered(asked.t, 0, "3"))
        assert f"000000.png true 4 found 3 {QUESTION} 3" in shown()
        asked.answer(answered(asked.t, 1, "many"))
        assert f"true 4 no count {QUESTION} many" in shown()
        meter = lab.panels.latency_pane.text
        assert "tok/s 10.1" in meter
        assert "vis" in meter
        assert meter.splitlines()[2].endswith(" ms")


async def test_answers_word_by_word_take_few_bytes(
    asked: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def write(_: HeadlessDriver, data: str) -> None:
        sizes.append(len(data.encode()))

    monkeypatch.setattr(HeadlessDriver, "is_headless", property(lambda _: False))
    monkeypatch.setattr(HeadlessDriver, "write", write)
    monkeypatch.setattr(app, "LOOK_PERIOD_S", 1e6)
    console = console_of(asked)
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = console.screen
        assert isinstance(lab, LabScreen)
        assert sum(sizes) > 10_000, "the first frames are counted"
        sizes.clear()
        begun = asked.t
        for index in range(10):  # a question a second, its answer in four parts
            name = f"{index:06}.png"
            asked.tell(Asking(asked.t, index, name, f"/x/{name}", QUESTION, index % 5))
            for piece in ("There are ", f"{index} ", "circles ", "in this image."):
                asked.wait(0.25).tell(Answering(asked.t, piece))
                lab.tick()
                await pilot.pause()
            asked.answer(answered(asked.t, index, str(index)))
        assert len(sizes) > 20
        assert sum(sizes) / (asked.t - begun) <= BYTES_A_SECOND
