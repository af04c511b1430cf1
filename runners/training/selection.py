"""NMS IoU and score threshold: chosen on val, reported on test.

The model is read and its outputs are judged by the runner's own code, so that what is chosen here
is what a run with it measures.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from runners.detections import Selection
from runners.detector import Detector
from runners.family import Family
from runners.images import read_image
from runners.model_file import read_model
from runners.training.truth import count_objects, read_annotations

NMS_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))
REPORTED_THRESHOLDS = (0.3, 0.5, 0.7)

log = logging.getLogger("edgelab.train")


class Trial(msgspec.Struct, frozen=True):
    """A pair that was tried, and the count MAE that it gave."""

    nms_iou: float
    threshold: float
    mae_mean: float


class Choice(msgspec.Struct, frozen=True):
    """The pair of the lowest count MAE on a split, and all that were tried: selection.json."""

    schema_version: Literal[1]
    split: str
    chosen: Trial
    tried: list[Trial]


@dataclass(frozen=True)
class Predictions:
    """A split's true counts, (images, classes), and the model's outputs for each image."""

    true_counts: NDArray[np.int64]
    family: Family
    outputs: list[Sequence[NDArray[Any]]]

    def counts(self, nms_iou: float, thresholds: Sequence[float]) -> NDArray[np.int64]:
        """Detections above each threshold: (thresholds, images, classes)."""
        counts = np.zeros((len(thresholds), *self.true_counts.shape), np.int64)
        selection = Selection(min(thresholds), nms_iou)
        for image, outputs in enumerate(self.outputs):
            found = self.family.detect(outputs, selection)
            for row, threshold in enumerate(thresholds):
                for label, count in found.counts(threshold).items():
                    counts[row, image, label] = count
        return counts

    def count_mae(self, nms_iou: float, thresholds: Sequence[float]) -> list[float]:
        """At each threshold: the mean over classes of that over all images of |count - truth|."""
        errors = np.abs(self.counts(nms_iou, thresholds) - self.true_counts)
        return [float(error) for error in errors.mean(axis=(1, 2))]


def choose_and_report(dataset: Path, output: Path, threads: int) -> Trial:
    """Choose NMS IoU and threshold on val, write `selection.json`, report test; return them."""
    model = output / "model.onnx"
    choice = choose(predict(model, dataset / "val", threads))
    encoded = msgspec.json.format(msgspec.json.encode(choice), indent=1)
    (output / "selection.json").write_bytes(encoded + b"\n")
    chosen = choice.chosen
    log.info("chosen on val: NMS IoU %s, threshold %s, MAE %.4f", *msgspec.structs.astuple(chosen))
    test = predict(model, dataset / "test", threads)
    thresholds = sorted({*REPORTED_THRESHOLDS, chosen.threshold})
    log.info("test, %d objects, NMS IoU %s:", test.true_counts.sum(), chosen.nms_iou)
    counted = test.counts(chosen.nms_iou, thresholds).sum(axis=(1, 2)).tolist()
    errors = test.count_mae(chosen.nms_iou, thresholds)
    for figures in zip(thresholds, counted, errors, strict=True):
        log.info("threshold %s: %d counted, MAE %.4f", *figures)
    return chosen


def choose(val: Predictions) -> Choice:
    """Try all pairs; of equally good ones take the threshold nearest to 0.5."""
    tried = [
        Trial(nms_iou, threshold, round(error, 4))
        for nms_iou in NMS_IOUS
        for threshold, error in zip(THRESHOLDS, val.count_mae(nms_iou, THRESHOLDS), strict=True)
    ]
    best = min(tried, key=lambda trial: (trial.mae_mean, abs(trial.threshold - 0.5)))
    return Choice(1, "val", best, tried)


def predict(model: Path, split: Path, threads: int) -> Predictions:
    """Run the exported model over a split, and count the split's true objects."""
    input_size = read_model(model, model.stem, None).input_size
    detector = Detector(model, input_size, Selection(min(THRESHOLDS), NMS_IOUS[0]), threads)
    coco = read_annotations(split)
    outputs = []
    for entry in coco.images:
        tensor, _ = detector.preprocess(read_image(split / "images" / entry.file_name))
        outputs.append(detector.infer(tensor))
    return Predictions(count_objects(coco), detector.family, outputs)
