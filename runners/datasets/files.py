"""The files behind a dataset, for who must look at them and not at what was read from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runners.datasets.dataset import Dataset
from runners.datasets.questions_csv import Questions
from runners.datasets.yolo_yaml import YoloDataset


@dataclass(frozen=True)
class CocoFiles:
    """A COCO .json and its folder of images; None: `images` beside it."""

    annotations: Path
    images: Path | None


@dataclass(frozen=True)
class YoloFiles:
    """One split of an ultralytics dataset."""

    dataset: YoloDataset
    split: str


@dataclass(frozen=True)
class ImageFiles:
    """A folder of images; what is known of them does not lie there as boxes."""

    folder: Path


@dataclass(frozen=True)
class LabelledFiles:
    """The images that a .csv names, one class each."""

    table: Path
    dataset: Dataset


@dataclass(frozen=True)
class QuestionFiles:
    """The images that a .csv names, and what is asked about each."""

    questions: Questions


DataFiles = CocoFiles | YoloFiles | ImageFiles | LabelledFiles | QuestionFiles
