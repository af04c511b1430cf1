"""Convert a model: `python -m runners.convert RUN_FOLDER model|fp32|fp16|int8`.

First the FP32 file, then each precision in a process of its own. What comes of it lies in a folder
of the lab's own profiles, so that the model is known by name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
from msgspec.structs import replace

from edgelab.catalogue import Catalogue, ClassifierProfile, DetectorProfile, ModelProfile
from edgelab.home import Home
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Precision
from edgelab.settings.convert import ConvertSettings
from edgelab.settings.detect import DetectSettings
from edgelab.steps import MODEL
from runners.classifier_source import VAL, ClassifierData, is_classifier, open_classifier
from runners.conversion import Converter, Pool, Refused, Wishes, pool_beside, pool_of
from runners.datasets.source import open_source
from runners.detector_file import open_detector
from runners.drawing import Drawing
from runners.model_file import ModelFile
from runners.model_folder import Convertible, ModelFolder
from runners.step import RunningStep, open_step


def main() -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(description="Convert a model, a step at a time.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("step", choices=[MODEL, *Precision])
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with open_step(arguments.folder, arguments.step) as step:
        settings, home = step.settings(ConvertSettings), Home.default()
        folder = ModelFolder(home.profiles / "models" / settings.name)
        if arguments.step == MODEL:
            begin(step, settings, home, folder)
        else:
            convert(step, settings, home, folder, Precision(arguments.step))


def begin(step: RunningStep, settings: ConvertSettings, home: Home, folder: ModelFolder) -> None:
    """Put the FP32 file into the folder."""
    model, profile = _opened(step, settings, home)
    if model.contradiction is not None:
        step.warning(model.contradiction)
    folder.begin(model, replace(profile, note=f"converted from {model.name}"))


def _opened(
    step: RunningStep, settings: ConvertSettings, home: Home
) -> tuple[Convertible, ModelProfile]:
    """The model, and what its profile says, or what is known of a model that has none."""
    catalogue, side = Catalogue(home), settings.image_size
    if is_classifier(settings.model, catalogue):
        step.phase("read the model", unit="")
        classifier = open_classifier(settings.model, catalogue, side)
        return classifier.file, classifier.profile or _new_classifier(settings)
    detector = open_detector(step, home, settings.model, side)
    if detector.profile is None:
        return detector.file, _new_detector(settings, detector.file)
    return detector.file, replace(detector.profile, file=detector.file.path.name, weights=None)


def convert(
    step: RunningStep,
    settings: ConvertSettings,
    home: Home,
    folder: ModelFolder,
    precision: Precision,
) -> None:
    """Make one precision; a refusal is the step's failure, and its report is kept."""
    model, profile = folder.read(settings.image_size), folder.profile
    wishes = Wishes(settings.method, settings.activations, settings.threads)

    def pool() -> Pool:
        if isinstance(profile, ClassifierProfile):
            return _labelled_pool(step, settings, home, profile)
        return _pool(step, settings, home)

    try:
        made = Converter(step, home, model, wishes, pool).convert(precision)
    except Refused as refused:
        folder.keep_report(refused.report)
        raise
    if made.path != model.path.absolute():
        folder.add(precision, made)


def _new_detector(settings: ConvertSettings, model: ModelFile) -> DetectorProfile:
    return DetectorProfile(
        schema_version=1,
        title=settings.name,
        family=model.family.name,
        file=model.path.name,
        dataset=settings.dataset,
        iou=model.family.default_iou,
    )


def _new_classifier(settings: ConvertSettings) -> ClassifierProfile:
    return ClassifierProfile(
        schema_version=1,
        title=settings.name,
        file=Path(settings.model).name,
        dataset=settings.dataset,
    )


def _pool(step: RunningStep, settings: ConvertSettings, home: Home) -> Pool:
    """Images of the split asked for; else such as a run over the data would not evaluate."""
    step.phase("read the dataset")
    data = DetectSettings(
        model=settings.model, dataset=settings.dataset, images=settings.images, split=settings.split
    )
    source = open_source(data, Catalogue(home), home, Drawing(step))
    evaluated = source.evaluation(data)
    if settings.split is not None:
        return pool_of(evaluated, settings.calibration_images)
    return pool_beside(source, evaluated, settings.calibration_images)


def _labelled_pool(
    step: RunningStep, settings: ConvertSettings, home: Home, profile: ClassifierProfile
) -> Pool:
    """The same of labelled images: val, where no split is asked for."""
    split = settings.split or VAL
    wanted = ClassifySettings(
        model=settings.model,
        dataset=settings.dataset,
        images=settings.images,
        calibration_images=settings.calibration_images,
    )
    return ClassifierData.open(step, home, wanted, profile, (split,)).pool(step, split)


if __name__ == "__main__":
    main()
