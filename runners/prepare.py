"""Prepare a run: `python -m runners.prepare RUN_FOLDER`.

Reads the model and the data, draws generated data, converts the model to each precision asked for,
proves what each will execute, and leaves it all in artifacts/prepared.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from edgelab.catalogue import Catalogue
from edgelab.coco_results import IDS_VERSION, CocoIds, write_coco_ids
from edgelab.home import Home
from edgelab.settings.detect import DetectSettings
from edgelab.steps import PREPARE
from runners.classes import ClassMap, map_classes
from runners.conversion import Converter, Wishes, pool_beside
from runners.converted import Conversion
from runners.datasets.dataset import Dataset
from runners.datasets.source import open_source
from runners.datasets.telling import tell_dataset
from runners.detector_file import open_detector
from runners.drawing import Drawing
from runners.graph_cost import graph_cost
from runners.model_file import ModelFile
from runners.precision import prove_executed
from runners.prepared import (
    PREPARED_VERSION,
    Prepared,
    PreparedImage,
    PreparedModel,
    write_prepared,
)
from runners.prepared_boxes import write_boxes
from runners.step import RunningStep, open_step


def main() -> None:
    """Read the command line and prepare."""
    parser = argparse.ArgumentParser(description="Prepare the data and the models of a run.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with open_step(arguments.folder, PREPARE) as step:
        prepare(step, Home.default())


def prepare(step: RunningStep, home: Home) -> None:
    """Do it; raises Problem where nothing can be measured."""
    settings = step.settings(DetectSettings)
    detector = open_detector(step, home, settings.model, settings.image_size)
    model, profile = detector.file, detector.profile
    step.phase("read the dataset")
    source = open_source(settings, Catalogue(home), home, Drawing(step))
    dataset = source.evaluation(settings)
    class_names, classes = map_classes(
        model.metadata.class_names, model.classes, dataset.classes, dataset.has_truth
    )
    _tell_dataset(step, dataset, classes)
    profile_iou = profile.iou if profile is not None else model.family.default_iou
    iou = settings.iou if settings.iou is not None else profile_iou
    _tell_model(step, model, settings)
    models, problems = Converter(
        step,
        home,
        model,
        Wishes(threads=settings.threads),
        lambda: pool_beside(source, dataset, settings.calibration_images),
        detector.carried,
    ).convert_all(settings.precisions)
    for problem in problems.values():
        step.warning(problem)
    prepared = Prepared(
        version=PREPARED_VERSION,
        input_size=model.input_size,
        iou=iou,
        model_classes=class_names,
        to_counted=classes.to_counted,
        models={
            precision: prepared_model(model.name, model.input_size, file)
            for precision, file in models.items()
        },
        problems=problems,
        images=tuple(PreparedImage.of(sample) for sample in dataset.samples),
        dataset_sha256=dataset.fingerprint(),
    )
    write_prepared(step.folder, prepared)
    write_boxes(step.folder, dataset)
    if dataset.coco_ids:
        write_coco_ids(step.folder, _coco_ids(dataset, classes))


def _coco_ids(dataset: Dataset, classes: ClassMap) -> CocoIds:
    known = (None if index is None else dataset.coco_ids[index] for index in classes.to_counted)
    return CocoIds(IDS_VERSION, tuple(each.coco_id for each in dataset.samples), tuple(known))


def prepared_model(name: str, input_size: tuple[int, int], file: Conversion) -> PreparedModel:
    """What a measuring process must know of a model file."""
    return PreparedModel(
        name=name,
        path=str(file.path),
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        executed=prove_executed(file.path),
        cost=graph_cost(file.path, (1, 3, *input_size)),
    )


def _tell_dataset(step: RunningStep, dataset: Dataset, classes: ClassMap) -> None:
    if classes.unknown:
        step.warning(
            "the model does not know these classes of the dataset, they are counted as never "
            f"found: {', '.join(classes.unknown)}"
        )
    tell_dataset(step, dataset, classes.counted)


def _tell_model(step: RunningStep, model: ModelFile, settings: DetectSettings) -> None:
    if (contradiction := model.contradiction) is not None:
        step.warning(contradiction)
    if model.suppresses:
        step.warning(
            "overlaps are suppressed inside the model file, with the IoU and the confidence of its "
            "export: detections under that confidence (ultralytics' default is 0.25) never appear"
        )
    if model.end_to_end and settings.iou is not None:
        step.warning("the IoU asked for has no effect: the model file gives final detections")


if __name__ == "__main__":
    main()
