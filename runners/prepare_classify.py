"""Prepare a run that classifies: `python -m runners.prepare_classify RUN_FOLDER`.

Reads the model and the labelled images, makes the model of each precision and proves what each will
execute, and leaves it all in artifacts/prepared.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from edgelab.catalogue import Catalogue, ClassifierProfile
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import DatasetFacts
from edgelab.settings.classify import ClassifySettings
from edgelab.steps import PREPARE
from runners.classes import ClassMap, map_classes
from runners.classifier_file import read_classifier
from runners.conversion import Converter, Pool, Wishes
from runners.datasets.dataset import WHOLE, evenly
from runners.datasets.labelled import (
    SPLITS,
    Labelled,
    Picture,
    content_hash,
    limited,
    make_splits,
)
from runners.datasets.labelled_sources import open_labelled
from runners.datasets.picture_files import as_files
from runners.drawing import Drawing
from runners.model_file import find_model
from runners.prepare import prepared_model
from runners.prepared import PREPARED_VERSION, Prepared, PreparedImage, write_prepared
from runners.step import RunningStep, now, open_step

TEST, VAL = "test", "val"

CHECKED_IMAGES = 100
"""One answer more or less is much of twenty."""

_SAME = (
    "int8 was calibrated on images that are also measured: the split test would leave val for it"
)

_UNKNOWN = ClassifierProfile(schema_version=1, title="a file", file="-")
"""How a model without a profile was trained: as one is where nothing is said."""


def main() -> None:
    """Read the command line and prepare."""
    parser = argparse.ArgumentParser(description="Prepare labelled images and a classifier.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with open_step(arguments.folder, PREPARE) as step:
        prepare(step, Home.default())


def prepare(step: RunningStep, home: Home) -> None:
    """Do it; raises Problem where nothing can be measured."""
    settings = step.settings(ClassifySettings)
    catalogue = Catalogue(home)
    step.phase("read the model", unit="")
    name, path, profile = find_model(settings.model, catalogue, ClassifierProfile)
    model = read_classifier(path, name)
    if (contradiction := model.contradiction) is not None:
        step.warning(contradiction)
    step.phase("read the dataset")
    data = open_labelled(
        settings.dataset, settings.images, catalogue, home, Drawing(step), _needed(settings)
    )
    split, pictures = _evaluated(step, settings, profile, data)
    names, classes = map_classes(model.metadata.class_names, model.classes, data.classes, True)
    digest = content_hash(data.classes, pictures)
    for warning in (*data.warnings, *_unknown(classes)):
        step.warning(warning)
    step.event(
        DatasetFacts(
            t=now(),
            name=data.name,
            split=split,
            images=len(pictures),
            classes=classes.counted,
            has_truth=True,
            sha256=digest,
        )
    )
    step.phase("read the images", len(pictures))
    images = as_files(pictures, step.folder.artifacts / "images", step.progress)
    models, problems = Converter(
        step,
        home,
        model,
        Wishes(threads=settings.threads),
        lambda: _pool(step, settings, profile, data, images),
    ).convert_all(settings.precisions)
    for problem in problems.values():
        step.warning(problem)
    prepared = Prepared(
        version=PREPARED_VERSION,
        input_size=model.input_size,
        model_classes=names,
        to_counted=classes.to_counted,
        models={
            precision: prepared_model(name, model.input_size, file)
            for precision, file in models.items()
        },
        problems=problems,
        images=images,
        dataset_sha256=digest,
    )
    write_prepared(step.folder, prepared)


def _pool(
    step: RunningStep,
    settings: ClassifySettings,
    profile: ClassifierProfile | None,
    data: Labelled,
    measured: Sequence[PreparedImage],
) -> Pool:
    """Images of val to calibrate on and to check the outcome on; those measured where all are."""
    if settings.split in (WHOLE, VAL):
        paths = [Path(image.path) for image in measured if image.problem is None]
        return Pool.of(paths, settings.calibration_images, _SAME, CHECKED_IMAGES)
    val = _part(settings, profile, data, VAL)
    chosen = evenly(val, settings.calibration_images + CHECKED_IMAGES)
    step.phase("read the images that calibrate", len(chosen))
    images = as_files(chosen, step.folder.artifacts / VAL, step.progress)
    paths = [Path(image.path) for image in images if image.problem is None]
    return Pool.of(paths, settings.calibration_images, most=CHECKED_IMAGES)


def _unknown(classes: ClassMap) -> Iterator[str]:
    if classes.unknown:
        names = ", ".join(classes.unknown)
        yield f"the model does not know these classes, their images are never right: {names}"


def _evaluated(
    step: RunningStep,
    settings: ClassifySettings,
    profile: ClassifierProfile | None,
    data: Labelled,
) -> tuple[str, list[Picture]]:
    """The split that is measured, and its pictures."""
    split = settings.split or TEST
    if split == WHOLE:
        found = [picture for part in data.pictures.values() for picture in part]
    elif split in SPLITS:
        found = list(_part(settings, profile, data, split))
    else:
        raise Problem(f"split = {split!r}: expected {', '.join(SPLITS)} or {WHOLE}")
    learned = profile is not None and profile.dataset == settings.dataset
    if learned and split in (WHOLE, "train"):
        step.warning("the model was trained on images that it is measured on: this flatters")
    return split, limited(found, settings.limit)


def _needed(settings: ClassifySettings) -> tuple[str, ...]:
    """The splits that are measured, and that calibrate."""
    return (TEST, VAL) if settings.split in (None, TEST, VAL) else tuple(SPLITS)


def _part(
    settings: ClassifySettings, profile: ClassifierProfile | None, data: Labelled, split: str
) -> tuple[Picture, ...]:
    """A split: the data's own, else cut as the run says, else as the model's training cut it."""
    if not data.pictures.keys() & {None, "train"} and split in data.pictures:
        return data.pictures[split]
    trained = profile or _UNKNOWN
    return make_splits(
        data,
        settings.val_share or trained.val_share,
        settings.test_share or trained.test_share,
        trained.split_seed if settings.split_seed is None else settings.split_seed,
    ).of(split)


if __name__ == "__main__":
    main()
