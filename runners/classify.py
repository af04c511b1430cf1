"""Measure a classifier in one precision: `python -m runners.classify RUN_FOLDER --precision fp32`.

This process loads numpy, OpenCV and ONNX Runtime only: its peak memory is what a deployment needs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgelab.classified import OFF_LIST, TOP
from edgelab.records import ClassifiedItem, StageTimes
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Precision
from runners.classifier import ImageClassifier
from runners.passes import Outputs, Pass, measure
from runners.prepared import Prepared
from runners.scenarios import Query, Ready
from runners.step import RunningStep

Top = tuple[tuple[int, float], ...]


class ClassifyPass(Pass[ImageClassifier, Top]):
    """Keeps the most probable classes of every image."""

    def __init__(
        self, step: RunningStep, prepared: Prepared, precision: Precision, turn: int
    ) -> None:
        self.settings = step.settings(ClassifySettings)
        super().__init__(step, self.settings, prepared, precision, turn)

    def load(self, path: Path) -> ImageClassifier:
        """The classifier."""
        return ImageClassifier(path, self.prepared.input_size[0], self.settings.threads)

    def read(self, model: ImageClassifier, outputs: Outputs, ready: Ready) -> Top:  # noqa: ARG002
        """The most probable classes; of equal ones the first."""
        probabilities = model.postprocess(outputs)
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        return tuple((self._labelled(int(each)), float(probabilities[each])) for each in best)

    def found(self, query: Query, answer: Top, times: StageTimes) -> ClassifiedItem:
        """The true class and the most probable ones."""
        return ClassifiedItem(**self.place(query), times=times, label=label_of(query), top=answer)

    def failed(self, query: Query, problem: str) -> ClassifiedItem:
        """The problem."""
        return ClassifiedItem(**self.place(query), label=label_of(query), error=problem)

    def _labelled(self, model_class: int) -> int:
        """From a class of the model to one of the dataset."""
        label = self.prepared.to_counted[model_class]
        return OFF_LIST if label is None else label


def label_of(query: Query) -> int | None:
    """The class of an image: the one object on it."""
    return next(iter(query.image.truth or ()), None)


if __name__ == "__main__":
    measure(ClassifyPass, "a classifier")
