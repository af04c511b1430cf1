"""Prepare a run: `python -m runners.prepare RUN_FOLDER`.

Reads the model and the data, draws generated data, converts the model to each precision asked for,
proves what each will execute, and leaves it all in artifacts/prepared.json.
"""

from __future__ import annotations

import argparse
import hashlib
import traceback
from collections.abc import Sequence
from pathlib import Path

import cv2

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import DatasetFacts
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.steps import PREPARE
from runners.classes import ClassMap, map_classes
from runners.converted import Converted, ConvertedModels, Recipe
from runners.datasets.dataset import Dataset, Sample
from runners.datasets.source import Source, open_source
from runners.drawing import Drawing
from runners.graph_cost import graph_cost
from runners.images import read_regular_file
from runners.memory import is_out_of_memory
from runners.model_file import ModelFile, find_model, load_graph, read_model
from runners.precision import prove_executed
from runners.prepared import (
    PREPARED_VERSION,
    Prepared,
    PreparedImage,
    PreparedModel,
    write_prepared,
)
from runners.quantise import to_half, to_integer
from runners.step import RunningStep, now, open_step


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
    catalogue = Catalogue(home)
    step.phase("read the model", unit="")
    name, path, profile = find_model(settings.model, catalogue)
    model = read_model(path, name, settings.image_size)
    if profile is not None and profile.family != model.family.name:
        raise Problem(
            f"{path}: a model of the family {model.family.name!r}, but the profile of {name} says "
            f"family = {profile.family!r}"
        )
    step.phase("read the dataset")
    source = open_source(settings, catalogue, home, Drawing(step))
    dataset = source.evaluation(settings)
    names, classes = map_classes(
        model.metadata.class_names, model.classes, dataset.classes, dataset.has_truth
    )
    _tell_dataset(step, dataset, classes)
    profile_iou = profile.iou if profile is not None else model.family.default_iou
    iou = settings.iou if settings.iou is not None else profile_iou
    _tell_model(step, model, settings)
    models, problems = Converter(step, home, model, source, dataset).convert_all()
    for problem in problems.values():
        step.warning(problem)
    prepared = Prepared(
        version=PREPARED_VERSION,
        input_size=model.input_size,
        iou=iou,
        model_classes=names,
        to_counted=classes.to_counted,
        models=models,
        problems=problems,
        images=tuple(_prepared_image(sample) for sample in dataset.samples),
        dataset_sha256=dataset.fingerprint(),
    )
    write_prepared(step.folder, prepared)


class Converter:
    """Makes the model file of each precision; one that fails leaves the others alone."""

    def __init__(
        self, step: RunningStep, home: Home, model: ModelFile, source: Source, dataset: Dataset
    ) -> None:
        self.step = step
        self.settings = step.settings(DetectSettings)
        self.cache = ConvertedModels(home.converted)
        self.model = model
        self.source = source
        self.dataset = dataset

    def convert_all(self) -> tuple[dict[Precision, PreparedModel], dict[Precision, str]]:
        """The models, and why others could not be made. Raises Problem where none is usable."""
        models: dict[Precision, PreparedModel] = {}
        problems: dict[Precision, str] = {}
        for precision in self.settings.precisions:
            self.step.phase(f"{precision} model", unit="")
            try:
                models[precision] = self._prepared(precision)
            except Problem as problem:
                problems[precision] = str(problem)
            except Exception as error:
                if isinstance(error, OSError) or is_out_of_memory(error):
                    raise
                traceback.print_exception(error)
                problems[precision] = _conversion_problem(precision, error)
        if not models:
            raise Problem(next(iter(problems.values())))
        return models, problems

    def _prepared(self, precision: Precision) -> PreparedModel:
        file = self._file(precision)
        return PreparedModel(
            name=self.model.name,
            path=str(file.path),
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            executed=prove_executed(file.path),
            cost=graph_cost(file.path, (1, 3, *self.model.input_size)),
        )

    def _file(self, precision: Precision) -> Converted:
        model = self.model
        if precision is model.held:
            return Converted(model.path.absolute(), model.sha256, model.size_bytes)
        if model.held is not Precision.FP32:
            raise Problem(
                f"{model.path}: the file holds {model.held} weights: {precision} can only be made "
                "from an fp32 file"
            )
        return self._half() if precision is Precision.FP16 else self._integer()

    def _half(self) -> Converted:
        recipe = Recipe(self.model.sha256, Precision.FP16, self.model.input_size)
        return self.cache.get(recipe, self.model.name, lambda: to_half(self._graph()))

    def _integer(self) -> Converted:
        samples, remark = self.source.calibration(self.dataset, self.settings.calibration_images)
        if remark is not None:
            self.step.warning(remark)
        images = [sample.path for sample in samples if sample.path is not None]
        recipe = Recipe(
            self.model.sha256,
            Precision.INT8,
            self.model.input_size,
            calibration_sha256=_content_hash(images),
            calibration_images=len(images),
        )
        self.step.phase("int8 model: calibrate", len(images))
        return self.cache.get(
            recipe,
            self.model.name,
            lambda: to_integer(self._graph(), self.model.input_size, images, self.step.progress),
        )

    def _graph(self) -> object:
        return load_graph(self.model.path.read_bytes(), self.model.path)


def _tell_dataset(step: RunningStep, dataset: Dataset, classes: ClassMap) -> None:
    for warning in dataset.warnings:
        step.warning(warning)
    if classes.unknown:
        step.warning(
            "the model does not know these classes of the dataset, they are counted as never "
            f"found: {', '.join(classes.unknown)}"
        )
    step.event(
        DatasetFacts(
            t=now(),
            name=dataset.name,
            split=dataset.split,
            images=len(dataset.samples),
            classes=classes.counted,
            has_truth=dataset.has_truth,
            sha256=dataset.fingerprint(),
            objects=dataset.objects,
        )
    )


def _tell_model(step: RunningStep, model: ModelFile, settings: DetectSettings) -> None:
    if model.suppresses:
        step.warning(
            "overlaps are suppressed inside the model file, with the IoU and the confidence of its "
            "export: detections under that confidence (ultralytics' default is 0.25) never appear"
        )
    if model.end_to_end and settings.iou is not None:
        step.warning("the IoU asked for has no effect: the model file gives final detections")


def _conversion_problem(precision: Precision, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"{precision} could not be made: {type(error).__name__}: {reason}"


def _prepared_image(sample: Sample) -> PreparedImage:
    path = str(sample.path.absolute()) if sample.path is not None else ""
    return PreparedImage(sample.name, path, sample.truth, sample.evaluated, sample.problem)


def _content_hash(paths: Sequence[Path]) -> str:
    """SHA-256 over the files' contents, in order; one that cannot be read counts by its name."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(hashlib.sha256(read_regular_file(path)).digest())
        except OSError:
            digest.update(str(path).encode(errors="surrogateescape"))
    return digest.hexdigest()


if __name__ == "__main__":
    main()
