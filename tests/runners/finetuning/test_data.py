"""What is learned from: splits without leaks, and every fault of the data named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.finetune import FinetuneSettings, Schedule
from runners.finetuning.data import TaskData, collect
from runners.finetuning.prompts import Prompts
from runners.images import read_image
from tests.runners.test_labelled import write_idx

CLASSES = Prompts(schema_version=1, title="t", learns="class", prompts={"second": "{labels}?"})
QUESTIONS = Prompts(schema_version=1, title="t", learns="answer", prompts={"second": "{question}"})


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for label, name in enumerate(("cats", "dogs", "fish")):
        for index in range(10):
            draw(root / name / f"{index}.png", 100 * label + index)
    return root


def gather(
    dataset: Path, tmp_path: Path, prompts: Prompts = CLASSES, **more: Any
) -> tuple[TaskData, list[str]]:
    told: list[str] = []
    settings = FinetuneSettings(model="m", dataset=str(dataset), **more)
    home, made = Home(tmp_path / "home"), tmp_path / "made"
    data = collect(settings, prompts, home, made, told.append, lambda *_: None)
    return data, told


def test_the_split_is_by_class_and_by_seed(folder: Path, tmp_path: Path) -> None:
    data, told = gather(folder, tmp_path)
    assert told == []
    for split, share in (("train", 7), ("val", 1), ("test", 2)):
        labels = [each.label for each in data.splits[split]]
        assert sorted(labels) == sorted([0, 1, 2] * share)
    names = [each.name for split in data.splits.values() for each in split]
    assert len(set(names)) == 30
    assert gather(folder, tmp_path)[0] == data
    other, _ = gather(folder, tmp_path, schedule=Schedule(seed=1))
    assert other.splits != data.splits


def test_the_same_bytes_are_never_on_both_sides(folder: Path, tmp_path: Path) -> None:
    for index in range(10):
        copy = folder / "cats" / f"copy{index}.png"
        copy.write_bytes((folder / "cats" / f"{index}.png").read_bytes())
    data, _ = gather(folder, tmp_path)
    seen = [{Path(each.image).read_bytes() for each in split} for split in data.splits.values()]
    assert not seen[0] & (seen[1] | seen[2])
    assert not seen[1] & seen[2]


def test_faults_are_named_and_the_rest_is_used(folder: Path, tmp_path: Path) -> None:
    (folder / "cats" / "0.png").write_bytes(b"no image")
    (folder / "dogs" / "wrong.png").write_bytes((folder / "fish" / "3.png").read_bytes())
    (folder / "empty").mkdir()
    draw(folder / "rare" / "1.png", 999)
    data, told = gather(folder, tmp_path)
    text = "\n".join(told)
    assert "cats/0.png" in text
    assert (
        "one image in different classes (dogs, fish), left out: dogs/wrong.png, fish/3.png" in text
    )
    assert "empty: no image to learn from" in text
    assert "rare: 1 images, none are held out" in text
    assert sum(map(len, data.splits.values())) == 9 + 10 + 9 + 1


def test_what_a_classifier_learns_from_a_language_model_can_learn(tmp_path: Path) -> None:
    """Arrays become files; each answer is the class of its image."""
    folder = tmp_path / "idx"
    folder.mkdir()
    labels = np.arange(12, dtype=np.uint8) % 3
    for seed, prefix in enumerate(("train", "t10k")):
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 6, 6), np.uint8)
        write_idx(folder, prefix, pixels, labels)
    data, _ = gather(folder, tmp_path, limit=6)
    assert data.classes == ("0", "1", "2")
    for split in ("train", "test"):
        assert {each.answer for each in data.splits[split]} == {"0", "1", "2"}
        for each in data.splits[split]:
            assert Path(each.image).parent == tmp_path / "made" / split
            assert each.answer == data.classes[each.label or 0]
            assert read_image(Path(each.image)).shape == (6, 6, 3)


def test_one_class_is_nothing_to_learn(folder: Path, tmp_path: Path) -> None:
    for path in [*folder.glob("dogs/*"), *folder.glob("fish/*")]:
        path.unlink()
    with pytest.raises(Problem, match="one class only"):
        gather(folder, tmp_path)


def test_a_csv_of_questions(folder: Path, tmp_path: Path) -> None:
    file = folder / "asked.csv"
    rows = [f'cats/{index}.png,"how many, in all?",{index}' for index in range(10)]
    rows.append("../../etc/passwd.png,what?,secret")
    file.write_text("\n".join(["\ufeffimage,question,answer", *rows]))
    data, told = gather(file, tmp_path, QUESTIONS)
    assert any("leads out of the image folder" in each for each in told)
    asked = [each for split in data.splits.values() for each in split]
    assert {each.question for each in asked} == {"how many, in all?"}
    assert sorted(each.answer for each in asked) == [str(index) for index in range(10)]
    assert data.classes == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,answer\na.png,1\n", "no column 'question'"),
        ("image,question,answer\n", "no rows"),
        ("image,question,answer\na.png,,1\n", "a.csv:2: question is empty"),
        ("image,question,answer\na.png\n", "a.csv:2: question is empty"),
        ('image,question,answer\n"a.png', "not a CSV file"),
    ],
)
def test_a_broken_csv_is_named(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(content)
    with pytest.raises(Problem, match=words):
        gather(file, tmp_path, QUESTIONS)
