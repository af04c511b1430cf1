"""The forms of a training and of a fine-tuning: typed, refused where they cannot be, begun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Static

from edgelab.home import Home
from edgelab.presets import finetuning, training
from edgelab.queue import queued
from edgelab.settings.base import TaskSettings
from edgelab.settings.convert import ConvertSettings
from edgelab.settings.finetune import FinetuneSettings, Lora, Part
from edgelab.settings.train import Augmentation, TrainSettings
from screens.app import Console
from screens.form import Choice, Form
from screens.task_form import ConversionForm, FinetuningForm, TaskForm, TrainingForm
from tests.screens.conftest import press, settle

Opener = Callable[..., Console]
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])


async def form_of(console: Console, pilot: Pilot[None], key: str) -> Form[object]:
    await settle(pilot)
    await press(pilot, key)
    assert isinstance(console.screen, Form)
    return console.screen


def problem_of(form: Form[object]) -> str:
    return str(form.query_one(".problem", Static).render())


@SIZES
async def test_a_training_is_typed_and_begun(
    open_console: Opener, home: Home, size: tuple[int, int]
) -> None:
    console = open_console()
    async with console.run_test(size=size) as pilot:
        form = await form_of(console, pilot, "n")
        form.field("model").value = "timm:resnet18"
        form.field("epochs").value = "3"
        form.field("rotation").value = "0"
        form.field("noise").value = "0.1"
        form.field("learning rate").value = "fast"
        await press(pilot, "enter")
        assert console.screen is form, "nonsense is not taken"
        assert "learning_rate = 'fast'" in problem_of(form)
        form.field("learning rate").value = "1e-3"
        await press(pilot, "enter")
        (folder,) = queued(home)
        spec = folder.read_spec()
        assert spec.title == "train timm:resnet18 on charts"
        assert spec.settings == replace(
            training(4), model="timm:resnet18", epochs=3, learning_rate=1e-3,
            augmentation=Augmentation(rotation=0.0, noise=0.1),
        )  # fmt: skip


@SIZES
async def test_a_fine_tuning_is_typed_and_begun(
    open_console: Opener, home: Home, tmp_path: Path, size: tuple[int, int]
) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "asked.csv").write_text("image,question,answer\n")
    console = open_console()
    async with console.run_test(size=size) as pilot:
        form = await form_of(console, pilot, "f")
        parts = form.field("adapters in")
        assert isinstance(parts, Choice)
        parts.focus()
        await press(pilot, *["right"] * 3)
        assert parts.value == "llm vision"
        form.field("dataset").value = str(tmp_path / "asked.csv")
        form.field("prompts").value = "chart-questions"
        form.field("rank").value = "4"
        form.field("model").value = "no-such-model"
        await press(pilot, "enter")
        assert console.screen is form
        assert "neither a name" in problem_of(form)
        form.field("model").value = str(tmp_path / "checkpoint")
        await press(pilot, "enter")
        (folder,) = queued(home)
        spec = folder.read_spec()
        assert spec.title == "checkpoint tuned on asked"
        assert spec.settings == replace(
            finetuning(4),
            model=str(tmp_path / "checkpoint"),
            dataset=str(tmp_path / "asked.csv"),
            prompts="chart-questions",
            lora=Lora(parts=(Part.LLM, Part.VISION), rank=4),
        )


async def test_the_beginning_of_a_known_name_is_enough(open_console: Opener, home: Home) -> None:
    console = open_console()
    async with console.run_test() as pilot:
        form = await form_of(console, pilot, "n")
        model = form.field("model")
        assert isinstance(model, Input)
        model.value = ""
        await press(pilot, *"eff", "right")
        assert model.value == "efficientnetv2-s"


async def test_what_is_typed_at_once_falls_into_its_own_lines(open_console: Opener) -> None:
    console = open_console()
    async with console.run_test() as pilot:
        form = await form_of(console, pilot, "f")
        for name in ("a", "tab", "b", "down", "c"):
            key = events.Key(name, name if len(name) == 1 else None)
            key.set_sender(console)
            console.post_message(key)
        await settle(pilot)
        typed = [form.field(name).value for name in ("model", "dataset", "images")]
        assert typed == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("form", "settings"),
    [
        (TrainingForm, TrainSettings),
        (FinetuningForm, FinetuneSettings),
        (ConversionForm, ConvertSettings),
    ],
)
def test_every_line_has_a_name_of_its_own_that_fits(
    form: type[TaskForm[Any]], settings: type[TaskSettings]
) -> None:
    names = [words.name for words in form.keys.values()]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 18
    assert max(len(words.hint) for words in form.keys.values()) < 30
    assert {key.partition(".")[0] for key in form.keys} <= set(settings.__struct_fields__)


@SIZES
@pytest.mark.parametrize("key", ["n", "f"])
def test_form(
    snap_compare: Callable[..., bool], open_console: Opener, key: str, size: tuple[int, int]
) -> None:
    async def show(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, key)

    assert snap_compare(open_console(), terminal_size=size, run_before=show)
