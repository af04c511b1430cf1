"""Convert a model: `python -m runners.convert RUN_FOLDER model|fp32|fp16|int8`.

First the FP32 file, then each precision in a process of its own. What comes of it lies in a folder
of the lab's own profiles, so that the model is known by name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
from msgspec.structs import replace

from edgelab.catalogue import Catalogue, DetectorProfile
from edgelab.home import Home
from edgelab.settings.common import Precision
from edgelab.settings.convert import ConvertSettings
from edgelab.settings.detect import DetectSettings
from edgelab.steps import MODEL
from runners.conversion import Converter, Pool, Refused, Wishes, pool_beside, pool_of
from runners.datasets.source import open_source
from runners.detector_file import open_detector
from runners.drawing import Drawing
from runners.model_file import ModelFile, read_model
from runners.model_folder import ModelFolder
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
    found = open_detector(step, home, settings.model, settings.image_size)
    model = found.file
    if model.contradiction is not None:
        step.warning(model.contradiction)
    folder.begin(model, _profile(model, settings, found.profile))


def convert(
    step: RunningStep,
    settings: ConvertSettings,
    home: Home,
    folder: ModelFolder,
    precision: Precision,
) -> None:
    """Make one precision; a refusal is the step's failure, and its report is kept."""
    name = settings.name
    model = read_model(folder.source, name, settings.image_size)
    wishes = Wishes(settings.method, settings.activations, settings.threads)
    converter = Converter(step, home, model, wishes, lambda: _pool(step, settings, home))
    try:
        made = converter.convert(precision)
    except Refused as refused:
        folder.keep_report(refused.report)
        raise
    if made.path != model.path.absolute():
        folder.add(precision, made)


def _profile(
    model: ModelFile, settings: ConvertSettings, known: DetectorProfile | None
) -> DetectorProfile:
    """What the source's profile says, or what is known of a model that has none."""
    note = f"converted from {model.name}"
    if known is not None:
        return replace(known, note=note)
    return DetectorProfile(
        schema_version=1,
        title=settings.name,
        family=model.family.name,
        file=model.path.name,
        dataset=settings.dataset,
        iou=model.family.default_iou,
        note=note,
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


if __name__ == "__main__":
    main()
