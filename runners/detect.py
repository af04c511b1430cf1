"""Measure a detector in one precision: `python -m runners.detect RUN_FOLDER --precision fp32`.

This process loads numpy, OpenCV and ONNX Runtime only: its peak memory is what a deployment needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edgelab.records import DetectedItem, StageTimes
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from runners.detections import Detections, Selection
from runners.detector import Detector
from runners.passes import Outputs, Pass, measure
from runners.prepared import Prepared
from runners.scenarios import Query, Ready
from runners.step import RunningStep


class Seen(NamedTuple):
    """What was detected on an image of so many px, height and width."""

    detections: Detections
    image_size: tuple[int, int]


class DetectPass(Pass[Detector, Seen]):
    """Counts what a detector finds, at every threshold."""

    def __init__(
        self, step: RunningStep, prepared: Prepared, precision: Precision, turn: int
    ) -> None:
        self.settings = step.settings(DetectSettings)
        super().__init__(step, self.settings, prepared, precision, turn)

    def load(self, path: Path) -> Detector:
        """The detector with the run's selection."""
        settings, prepared = self.settings, self.prepared
        assert prepared.iou is not None
        selection = Selection(settings.keep_score, prepared.iou, settings.max_detections)
        return Detector(path, prepared.input_size, selection, settings.threads)

    def read(self, model: Detector, outputs: Outputs, ready: Ready) -> Seen:
        """The detections, in px of the image."""
        assert ready.fit is not None
        return Seen(model.postprocess(outputs, ready.fit), ready.fit.image_size)

    def found(self, query: Query, answer: Seen, times: StageTimes) -> DetectedItem:
        """Boxes, and the counts at every threshold."""
        found = answer.detections
        return DetectedItem(
            **self.place(query),
            times=times,
            truth=query.image.truth,
            counts=tuple(self._counted(found.counts(each)) for each in self.settings.thresholds),
            evaluated=query.image.evaluated,
            detections=found.rows(),
            image_size=answer.image_size,
        )

    def failed(self, query: Query, problem: str) -> DetectedItem:
        """The problem."""
        return DetectedItem(**self.place(query), error=problem)

    def _counted(self, found: Mapping[int, int]) -> dict[int, int]:
        """From counts by class of the model to those by counted class; the others are left out."""
        to_counted = self.prepared.to_counted
        counts: dict[int, int] = {}
        for model_class, count in found.items():
            counted = to_counted[model_class] if model_class < len(to_counted) else None
            if counted is not None:
                counts[counted] = counts.get(counted, 0) + count
        return counts


if __name__ == "__main__":
    measure(DetectPass, "a detector")
