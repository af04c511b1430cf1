"""Train a detector on a COCO-format dataset and export it to ONNX.

    python -m runners.train_detector TRAINING_TOML --dataset-folder DIR [--output DIR]

The dataset folder holds `train`, `val` and `test`, each with `images/` and `annotations.json`.
The architecture in the spec decides which trainer is used. The output folder receives `model.onnx`
(raw head, no NMS inside), `results.csv`, `selection.json`, `training.log` and last `model.toml`, a
profile. Where no folder is named it is one of the lab's own profiles, so that the model is known by
the spec's name. NMS IoU and score threshold are chosen on val; test is only reported.

Training is seeded and asks torch for deterministic algorithms: the same machine, libraries and
thread count give the same weights; another processor or another torch may not.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Literal

import msgspec

from edgelab.catalogue import DetectorProfile
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.problem import Problem
from runners.exporting.offline import restrain_ultralytics
from runners.extras import needs
from runners.training.selection import Trial, choose_and_report
from runners.training.spec import SsdliteTraining, TrainingSpec, YoloTraining, read_spec
from runners.training.truth import read_annotations

TRAINERS = {YoloTraining: "runners.training.yolo", SsdliteTraining: "runners.training.ssdlite"}

FAMILIES: dict[type, Literal["yolo", "ssdlite"]] = {
    YoloTraining: "yolo",
    SsdliteTraining: "ssdlite",
}

log = logging.getLogger("edgelab.train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as asked; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runners.train_detector")
    parser.add_argument("spec", type=Path, metavar="TRAINING_TOML")
    parser.add_argument("--dataset-folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        spec = read_spec(options.spec)
        for split in ("train", "val", "test"):
            read_annotations(options.dataset_folder / split)
        with tempfile.TemporaryDirectory(prefix="train-detector-") as work:
            trainer = _import_trainer(spec, Path(work) / "config")
            output = options.output or Home.default().profiles / "models" / spec.name
            output.mkdir(parents=True, exist_ok=True)
            _log_to(output / "training.log")
            trainer.make_model(spec, options.dataset_folder, output, Path(work))
        _write_profile(
            output, spec, choose_and_report(options.dataset_folder, output, spec.threads)
        )
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def _import_trainer(spec: TrainingSpec, config: Path) -> ModuleType:
    """The module that trains this architecture; its libraries are imported here, and only here.

    ultralytics is kept off the network and out of the home folder. Raises `Problem` where a library
    is missing.
    """
    restrain_ultralytics(config)
    os.environ["OMP_NUM_THREADS"] = str(spec.threads)
    with needs("train", "training"):
        return importlib.import_module(TRAINERS[type(spec)])


def _write_profile(output: Path, spec: TrainingSpec, chosen: Trial) -> None:
    profile = DetectorProfile(
        schema_version=1,
        title=f"{spec.name}, trained here",
        family=FAMILIES[type(spec)],
        file="model.onnx",
        dataset=spec.dataset,
        iou=chosen.nms_iou,
        threshold=chosen.threshold,
    )
    replace_file(output / "model.toml", msgspec.toml.encode(profile), shared=True)


def _log_to(path: Path) -> None:
    log.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()):
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
