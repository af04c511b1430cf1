"""From the name a person gave to the data: what is evaluated, and what calibrates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgelab.catalogue import (
    DIGITS,
    Catalogue,
    DatasetProfile,
    Entry,
    GeneratedDataset,
    LocalDataset,
)
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.base import MeasureSettings
from runners.datasets import charts, shapes
from runners.datasets.coco import read_coco
from runners.datasets.dataset import Dataset, Sample, evenly
from runners.datasets.files import (
    CocoFiles,
    DataFiles,
    ImageFiles,
    LabelledFiles,
    QuestionFiles,
    YoloFiles,
)
from runners.datasets.folder import read_folder
from runners.datasets.labels_csv import read_csv, split_of
from runners.datasets.questions_csv import asks_questions, read_questions
from runners.datasets.subset import of_classes, per_class
from runners.datasets.yolo_yaml import YoloDataset

_IMAGES_BESIDE = "a folder of images is named beside a COCO .json or a .csv of questions only"

OnImage = Callable[[str, int, int], None]
"""Told while a split is being drawn: its name, images done, images in all."""


@dataclass(frozen=True)
class Generated:
    """A split of generated data: drawn when it is opened first, or when its files are asked for."""

    read: Callable[[], Dataset]
    files: Callable[[], DataFiles]


Openers = dict[str, Generated]
"""The splits of generated data."""


@dataclass(frozen=True)
class Source:
    """Data by name. `read` opens a split; data without splits takes none and has no default.

    `files`: what lies behind a split, drawn where it is generated.
    """

    read: Callable[[str | None], Dataset]
    files: Callable[[str | None], DataFiles]
    default_split: str | None = None
    calibration_split: str | None = None
    profile: LocalDataset | None = None

    def evaluation(self, settings: MeasureSettings) -> Dataset:
        """What the run asks for: its split, classes and sub-datasets, its first `limit` images."""
        if settings.split is not None and self.default_split is None:
            raise Problem(f"{settings.dataset}: has no splits: leave the split out")
        dataset = self.read(settings.split or self.default_split)
        return self.subset(dataset, settings).limited(settings.limit)

    def subset(self, dataset: Dataset, settings: MeasureSettings) -> Dataset:
        """The run's own choice of sub-datasets before that of the dataset's profile."""
        profile = self.profile
        classes = settings.classes or (profile.classes if profile else None)
        most = settings.per_class or (profile.per_class if profile else None)
        seed = settings.subset_seed
        if seed is None:
            seed = profile.seed if profile else 0
        if classes is not None:
            dataset = of_classes(dataset, classes)
        return dataset if most is None else per_class(dataset, most, seed)

    def calibration(self, evaluated: Dataset, count: int) -> tuple[list[Sample], str | None]:
        """Up to `count` images to calibrate on, and what a reader must know about their choice.

        From the calibration split; else from images of the evaluated split that the run's limit
        and sub-datasets leave out; else from the evaluated images themselves.
        """
        if self.calibration_split is not None and self.calibration_split != evaluated.split:
            return evenly(_usable(self.read(self.calibration_split).samples), count), None
        whole = self.read(evaluated.split if self.default_split is not None else None)
        taken = {sample.name for sample in evaluated.samples}
        rest = [sample for sample in _usable(whole.samples) if sample.name not in taken]
        if rest:
            # What shows an object says more of the ranges that objects give rise to.
            marked = [sample for sample in rest if sample.truth]
            return evenly(marked if len(marked) >= count else rest, count), None
        return evenly(_usable(evaluated.samples), count), (
            f"int8 was calibrated on images that are also evaluated: {evaluated.name} has no "
            "others (a limit, or a calibration split, would leave some)"
        )


def open_source(
    settings: MeasureSettings, catalogue: Catalogue, home: Home, on_image: OnImage
) -> Source:
    """Find the data that `settings.dataset` names. Raises Problem where there is none."""
    entry = catalogue.dataset(settings.dataset)
    if entry is not None:
        return open_named(entry, home, on_image)
    path = Path(settings.dataset).expanduser()
    if settings.dataset == DIGITS and not path.exists():
        raise Problem(
            f"{DIGITS}: a class an image, no objects: train, classify, finetune and ask --ask "
            "classify take it"
        )
    if not path.exists():
        raise Problem(
            f"{settings.dataset}: neither a dataset of the catalogue nor a file or folder "
            "(`edgelab datasets` lists the catalogue)"
        )
    if settings.images is not None and path.suffix.lower() not in (".json", ".csv"):
        raise Problem(f"{path}: {_IMAGES_BESIDE}")
    images = Path(settings.images).expanduser() if settings.images else None
    return _at_path(path, images, path.stem, "val", None)


def open_named(entry: Entry[DatasetProfile], home: Home, on_image: OnImage) -> Source:
    """The data of a catalogue entry; raises Problem where it is broken."""
    profile = entry.require()
    if isinstance(profile, GeneratedDataset):
        return _generated(entry.name, entry.path, profile, home, on_image)
    return _local(entry.name, entry.path.parent, profile)


def _local(name: str, folder: Path, profile: LocalDataset) -> Source:
    path = folder / Path(profile.path).expanduser()
    images = folder / Path(profile.images).expanduser() if profile.images else None
    for place in (path, images):
        if place is not None and not place.exists():
            raise Problem(
                f"{name}: {place} does not exist{profile.missing and ': '}{profile.missing}"
            )
    source = _at_path(path, images, name, profile.default_split, profile.calibration_split)
    return replace(source, profile=profile)


def _at_path(
    path: Path, images: Path | None, name: str, default_split: str, calibration_split: str | None
) -> Source:
    if path.is_dir():
        return Source(lambda _: read_folder(path, name), lambda _: ImageFiles(path))
    if path.suffix.lower() == ".json":
        return Source(lambda _: read_coco(path, images, name), lambda _: CocoFiles(path, images))
    if path.suffix.lower() in (".yaml", ".yml"):
        dataset = YoloDataset.read(path)
        calibration = calibration_split or ("train" if "train" in dataset.splits else None)
        return Source(
            lambda split: dataset.open(split or default_split, name),
            lambda split: YoloFiles(dataset, split or default_split),
            default_split,
            calibration,
        )
    if path.suffix.lower() == ".csv" and asks_questions(path):
        data = read_questions(path, images)
        return Source(lambda _: data.images(name), lambda _: QuestionFiles(data))
    if path.suffix.lower() == ".csv":
        if images is not None:
            raise Problem(f"{path}: {_IMAGES_BESIDE}")
        return _of_table(path, name, default_split)
    raise Problem(
        f"{path}: expected a folder of images, a COCO .json, a dataset .yaml or a .csv of labels "
        "or questions"
    )


def _of_table(path: Path, name: str, default_split: str) -> Source:
    data = read_csv(path)
    splits = [split for split in data.pictures if split is not None]
    default = default_split if default_split in splits else next(iter(splits), None)

    def read(split: str | None) -> Dataset:
        return split_of(data, name, split or default)

    return Source(
        read,
        lambda split: LabelledFiles(path, read(split)),
        default,
        "train" if "train" in splits else None,
    )


def _generated(
    name: str, file: Path, profile: GeneratedDataset, home: Home, on_image: OnImage
) -> Source:
    openers = _GENERATORS[profile.generator](name, file, home.datasets, on_image)

    def opener(split: str | None) -> Generated:
        if split not in openers:
            raise Problem(f"{name}: no split {split!r}, it has {', '.join(openers)}")
        return openers[split]

    return Source(
        lambda split: opener(split).read(),
        lambda split: opener(split).files(),
        profile.default_split,
        profile.calibration_split,
    )


def _shapes(name: str, file: Path, folder: Path, on_image: OnImage) -> Openers:
    profile = shapes.read_profile(file)

    def files(split: shapes.Split) -> CocoFiles:
        place = shapes.ensure_split(profile, split, folder, partial(on_image, split))
        return CocoFiles(place / "annotations.json", place / "images")

    def read(split: shapes.Split) -> Dataset:
        drawn = files(split)
        return read_coco(drawn.annotations, drawn.images, name, split)

    return {
        split: Generated(partial(read, split), partial(files, split)) for split in shapes.SPLITS
    }


def _charts(name: str, file: Path, folder: Path, on_image: OnImage) -> Openers:
    profile = charts.read_profile(file)

    def files(split: charts.Split) -> ImageFiles:
        return ImageFiles(charts.ensure_split(profile, split, folder, partial(on_image, split)))

    def read(split: charts.Split) -> Dataset:
        return charts.read_charts(files(split).folder, name, split)

    return {
        split: Generated(partial(read, split), partial(files, split)) for split in charts.SPLITS
    }


_GENERATORS: dict[str, Callable[[str, Path, Path, OnImage], Openers]] = {
    "shapes": _shapes,
    "charts": _charts,
}


def _usable(samples: tuple[Sample, ...]) -> list[Sample]:
    return [sample for sample in samples if sample.path is not None]
