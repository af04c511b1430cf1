"""Settings as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.presets import finetuning, training
from edgelab.problem import Problem
from edgelab.settings.finetune import FinetuneSettings, Part
from edgelab.task_editing import choices_of, path_or_name, settings_from, texts_of

KEYS = ("model", "epochs", "learning_rate", "pretrained", "limit", "augmentation.rotation")


def test_what_stands_in_a_form_is_what_comes_back() -> None:
    settings = training(2)
    texts = texts_of(settings, KEYS)
    assert texts == {
        "model": "vit-tiny-3",
        "epochs": "16",
        "learning_rate": "0.0005",
        "pretrained": "no",
        "limit": "",
        "augmentation.rotation": "5",
    }
    assert settings_from(settings, texts) == settings


def test_typed_values_take_their_own_types() -> None:
    typed = {"epochs": "3", "pretrained": "yes", "limit": "40", "augmentation.rotation": "0"}
    settings = settings_from(training(2), typed)
    assert (settings.epochs, settings.pretrained, settings.limit) == (3, True, 40)
    assert settings.augmentation.rotation == 0
    assert settings_from(settings, {"limit": " "}).limit is None


def test_lists_are_words() -> None:
    settings = FinetuneSettings(model="m", dataset="d")
    assert texts_of(settings, ["lora.parts"]) == {"lora.parts": "llm"}
    changed = settings_from(settings, {"lora.parts": "llm, projector"})
    assert changed.lora.parts == (Part.LLM, Part.PROJECTOR)


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("zero_shot", ("yes", "no")),
        ("schedule.gradient_checkpointing", ("yes", "no")),
        ("precision", ("fp32", "bf16", "int8", "nf4")),
        ("merge", ("", "bf16", "fp32")),
        ("lora.rank", ()),
        ("limit", ()),
        ("model", ()),
    ],
)
def test_what_is_one_of_a_few_is_chosen(key: str, choices: tuple[str, ...]) -> None:
    settings = finetuning(2)
    assert choices_of(settings, key) == choices
    for choice in choices:
        (text,) = texts_of(settings_from(settings, {key: choice}), [key]).values()
        assert text == choice


def test_each_part_gets_adapters_alone_or_with_others() -> None:
    settings = finetuning(2)
    choices = choices_of(settings, "lora.parts")
    parts = [settings_from(settings, {"lora.parts": text}).lora.parts for text in choices]
    assert len(set(parts)) == len(parts) == 2 ** len(Part) - 1


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"epochs": "many"}, "epochs = 'many'"),
        ({"epochs": "0"}, "epochs = '0'"),
        ({"model": ""}, "missing required field `model`"),
    ],
)
def test_nonsense_is_named(typed: dict[str, str], words: str) -> None:
    with pytest.raises(Problem, match=words):
        settings_from(training(2), typed)


def test_a_path_is_made_absolute_and_a_name_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "charts").mkdir()
    (tmp_path / "mine").mkdir()
    assert path_or_name("charts", {"charts"}) == "charts"
    assert path_or_name("mine", {"charts"}) == str(tmp_path / "mine")
    assert path_or_name("digits", {"charts"}) == "digits"
