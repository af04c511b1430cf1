"""From the name a person gave to images and what is asked of each: its class, or questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgelab.catalogue import Catalogue, GeneratedDataset
from edgelab.home import Home
from edgelab.problem import Problem
from runners.datasets import charts
from runners.datasets.dataset import sample_inside
from runners.datasets.labelled import SPLITS, Picture, picture_of
from runners.datasets.labelled_sources import open_labelled
from runners.datasets.questions_csv import COLUMNS, read_questions
from runners.datasets.source import OnImage
from runners.finetuning.prompts import Prompts


class Ask(NamedTuple):
    """A question, empty where a prompt asks for the class; its answer; what it is about."""

    question: str
    answer: str
    kind: str = ""


@dataclass
class Candidate:
    """An image and what is asked of it. `label`: its class, None where questions are asked;
    `sha256`: of its content, once that was looked at."""

    picture: Picture
    label: int | None
    asks: tuple[Ask, ...]
    sha256: str = ""


@dataclass(frozen=True)
class Opened:
    """Data as found: candidates by split, or all under None where they have no splits."""

    name: str
    classes: tuple[str, ...]
    splits: dict[str | None, list[Candidate]]
    warnings: tuple[str, ...] = ()


def open_asked(
    dataset: str,
    images: str | None,
    prompts: Prompts,
    home: Home,
    on_image: OnImage,
    splits: Sequence[str] = SPLITS,
) -> Opened:
    """What the prompts can ask of the data that `dataset` names; raises Problem.

    `splits`: of data that are drawn, only these are.
    """
    catalogue = Catalogue(home)
    if prompts.learns == "class":
        return _classes(dataset, images, catalogue, home, on_image, splits)
    entry = catalogue.dataset(dataset)
    if entry is None:
        path = Path(dataset).expanduser()
        return _questions(path, path.stem, images)
    profile = entry.require()
    if not isinstance(profile, GeneratedDataset):
        path = entry.path.parent / Path(profile.path).expanduser()
        return _questions(path, entry.name, profile.images)
    if profile.generator != "charts":
        raise Problem(f"{entry.name}: has no questions")
    return _charts(entry.name, charts.read_profile(entry.path), home, on_image, splits)


def _classes(
    dataset: str,
    images: str | None,
    catalogue: Catalogue,
    home: Home,
    on_image: OnImage,
    splits: Sequence[str],
) -> Opened:
    """Labelled images, as a classifier learns from them."""
    data = open_labelled(dataset, images, catalogue, home, on_image, splits)

    def candidate(picture: Picture) -> Candidate:
        name = data.classes[picture.label]
        return Candidate(picture, picture.label, (Ask("", name, name),))

    found = {split: list(map(candidate, each)) for split, each in data.pictures.items()}
    return Opened(data.name, data.classes, found, data.warnings)


def _charts(
    name: str, profile: charts.ChartsProfile, home: Home, on_image: OnImage, splits: Sequence[str]
) -> Opened:
    found: dict[str | None, list[Candidate]] = {}
    for split in (each for each in charts.SPLITS if each in splits):

        def drawn(done: int, total: int, split: str = split) -> None:
            on_image(split, done, total)

        folder = charts.ensure_split(profile, split, home.datasets, drawn)
        found[split] = [
            Candidate(
                picture_of(sample_inside(folder / "images", chart.file_name), chart.label),
                None,
                tuple(Ask(each.question, each.answer, each.kind) for each in chart.questions),
            )
            for chart in charts.read_file(folder).images
        ]
    return Opened(name, (), found)


def _questions(path: Path, name: str, images: str | None) -> Opened:
    """A .csv of image, question and answer; an image may have several lines."""
    if path.suffix.lower() != ".csv":
        raise Problem(f"{path}: has no questions: charts have, or a .csv of {', '.join(COLUMNS)}")
    data = read_questions(path, Path(images).expanduser() if images else None)
    candidates = [
        Candidate(
            picture_of(sample_inside(data.folder, image), 0),
            None,
            tuple(Ask(row.question, row.answer) for row in rows),
        )
        for image, rows in data.by_image.items()
    ]
    return Opened(name, (), {None: candidates})
