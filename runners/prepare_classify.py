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
from edgelab.records import DatasetFacts
from edgelab.settings.classify import ClassifySettings
from edgelab.steps import PREPARE
from runners.classes import ClassMap, map_classes
from runners.classifier_source import (
    CHECKED_IMAGES,
    TEST,
    VAL,
    ClassifierData,
    open_classifier,
)
from runners.conversion import Converter, Pool, Wishes
from runners.datasets.dataset import WHOLE
from runners.datasets.labelled import SPLITS, content_hash
from runners.datasets.picture_files import as_files
from runners.prepare import prepared_model
from runners.prepared import PREPARED_VERSION, Prepared, PreparedImage, write_prepared
from runners.step import RunningStep, now, open_step

_SAME = (
    "int8 was calibrated on images that are also measured: the split test would leave val for it"
)


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
    step.phase("read the model", unit="")
    found = open_classifier(settings.model, Catalogue(home))
    model, profile = found.file, found.profile
    if (contradiction := model.contradiction) is not None:
        step.warning(contradiction)
    data = ClassifierData.open(step, home, settings, profile, _needed(settings))
    split = settings.split or TEST
    pictures = data.of(split)
    if _learned(settings, profile, split):
        step.warning("the model was trained on images that it is measured on: this flatters")
    labelled = data.labelled
    names, classes = map_classes(model.metadata.class_names, model.classes, labelled.classes, True)
    digest = content_hash(labelled.classes, pictures)
    for warning in (*labelled.warnings, *_unknown(classes)):
        step.warning(warning)
    step.event(
        DatasetFacts(
            t=now(),
            name=labelled.name,
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
        lambda: _pool(step, data, images),
        found.carried,
    ).convert_all(settings.precisions)
    for problem in problems.values():
        step.warning(problem)
    prepared = Prepared(
        version=PREPARED_VERSION,
        input_size=model.input_size,
        model_classes=names,
        to_counted=classes.to_counted,
        models={
            precision: prepared_model(model.name, model.input_size, file)
            for precision, file in models.items()
        },
        problems=problems,
        images=images,
        dataset_sha256=digest,
    )
    write_prepared(step.folder, prepared)


def _pool(step: RunningStep, data: ClassifierData, measured: Sequence[PreparedImage]) -> Pool:
    """Images of val to calibrate on and to check the outcome on; those measured where all are."""
    settings = data.settings
    if settings.split not in (WHOLE, VAL):
        return data.pool(step, VAL)
    paths = [Path(image.path) for image in measured if image.problem is None]
    return Pool.of(paths, settings.calibration_images, _SAME, CHECKED_IMAGES)


def _learned(settings: ClassifySettings, profile: ClassifierProfile | None, split: str) -> bool:
    """True where the model saw the measured images in its training."""
    same = profile is not None and profile.dataset == settings.dataset
    return same and split in (WHOLE, "train")


def _unknown(classes: ClassMap) -> Iterator[str]:
    if classes.unknown:
        names = ", ".join(classes.unknown)
        yield f"the model does not know these classes, their images are never right: {names}"


def _needed(settings: ClassifySettings) -> tuple[str, ...]:
    """The splits that are measured, and that calibrate."""
    return (TEST, VAL) if settings.split in (None, TEST, VAL) else tuple(SPLITS)


if __name__ == "__main__":
    main()
