"""The whole look through a dataset: annotations, files, classes."""

from __future__ import annotations

from collections import Counter

from edgelab.dataset_report import REPORT_VERSION, ClassContent, DatasetReport, Kind
from edgelab.problem import Problem
from edgelab.settings.base import MeasureSettings
from runners.checking.coco import list_coco
from runners.checking.labelled import list_labelled
from runners.checking.listing import ListedImage, Listing, printable
from runners.checking.pictures import OnImage, check_pictures
from runners.checking.questions import list_questions
from runners.checking.yolo import list_yolo
from runners.classes import map_classes
from runners.datasets.dataset import WHOLE, Dataset, sample_at
from runners.datasets.files import (
    CocoFiles,
    DataFiles,
    ImageFiles,
    LabelledFiles,
    QuestionFiles,
    YoloFiles,
)
from runners.datasets.folder import images_in
from runners.datasets.source import Source
from runners.model_file import ModelFile


def check_dataset(
    source: Source, settings: MeasureSettings, model: ModelFile | None, on_image: OnImage
) -> DatasetReport:
    """Look through what a run with these settings would read; raises Problem where nothing is."""
    split = settings.split or source.default_split
    files = source.files(split)
    listing = _listing(files)
    readable = check_pictures(listing, on_image)
    try:
        dataset = source.evaluation(settings)
    except Problem as problem:
        listing.found(Kind.UNUSABLE, settings.dataset, str(problem))
        dataset = Dataset(settings.dataset, split or WHOLE, (), ())
    classes = _classes(dataset, listing, model) if dataset.has_truth else ()
    crowds = sum(listing.crowds.values())
    if crowds:
        what = f"{crowds} crowd annotations (iscrowd): not counted, and neither right nor wrong"
        listing.found(Kind.CROWDS, dataset.name, what)
    return DatasetReport(
        version=REPORT_VERSION,
        name=printable(dataset.name),
        path=printable(str(_path_of(files))),
        split=dataset.split,
        images=len(listing.images),
        readable=readable,
        objects=dataset.objects,
        crowds=crowds,
        classes=classes,
        findings=listing.sorted_findings(),
        questions=files.questions.count if isinstance(files, QuestionFiles) else None,
    )


def _listing(files: DataFiles) -> Listing:
    match files:
        case CocoFiles():
            return list_coco(files)
        case YoloFiles():
            return list_yolo(files)
        case LabelledFiles():
            return list_labelled(files)
        case QuestionFiles(questions):
            return list_questions(questions)
        case ImageFiles(folder):
            paths = images_in(folder)
            if not paths:
                raise Problem(f"{folder}: no images in it")
            names = ((path, str(path.relative_to(folder))) for path in paths)
            return Listing([ListedImage.of(sample_at(path, name)) for path, name in names])


def _path_of(files: DataFiles) -> object:
    match files:
        case CocoFiles():
            return files.annotations
        case YoloFiles():
            return files.dataset.file
        case LabelledFiles():
            return files.table
        case QuestionFiles():
            return files.questions.table
        case ImageFiles():
            return files.folder


def _classes(
    dataset: Dataset, listing: Listing, model: ModelFile | None
) -> tuple[ClassContent, ...]:
    """The classes as a run counts them; those without an image or unknown to the model are told."""
    images: Counter[int] = Counter()
    objects: Counter[int] = Counter()
    for sample in dataset.samples:
        images.update(index for index, count in (sample.truth or {}).items() if count)
        objects.update(sample.truth or {})
    for index, name in enumerate(dataset.classes):
        if not images[index]:
            listing.found(Kind.NO_IMAGE, name, "no image holds an object of it")
    unknown = _unknown(dataset, listing, model) if model is not None else set()
    return tuple(
        ClassContent(
            printable(name),
            images[index],
            objects[index],
            listing.crowds[name],
            None if model is None else name not in unknown,
        )
        for index, name in enumerate(dataset.classes)
    )


def _unknown(dataset: Dataset, listing: Listing, model: ModelFile) -> set[str]:
    """The classes that the model cannot find."""
    try:
        _, classes = map_classes(
            model.metadata.class_names, model.classes, dataset.classes, dataset.has_truth
        )
    except Problem as problem:
        listing.found(Kind.UNUSABLE, f"model {model.name}", str(problem))
        return set(dataset.classes)
    for name in classes.unknown:
        listing.found(Kind.NOT_KNOWN, name, f"{model.name} never finds it: counted as missed")
    return set(classes.unknown)
