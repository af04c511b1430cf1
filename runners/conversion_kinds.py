"""What the conversion of a model depends on: its task. Everything else is the same for all.

How a file is opened, and how an outcome is examined. What is quantised says `runners.quantise`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from runners import classifier_doctor, quantisation_doctor
from runners.classifier import ImageClassifier
from runners.classifier_file import ClassifierFile
from runners.detections import Selection
from runners.detector import Detector
from runners.model_file import ModelFile
from runners.model_folder import Convertible
from runners.quantisation_doctor import LOWEST_SCORE, Examination, Runs

OnImage = Callable[[int], None]


class Kind(ABC):
    """One task's models."""

    @abstractmethod
    def open(self, path: Path, threads: int) -> Runs:
        """A model file of this kind in a session; raises Problem."""

    @abstractmethod
    def examine(
        self, outcome: Path, images: Sequence[Path], threads: int, on_image: OnImage
    ) -> Examination:
        """Compare an outcome with its source on these images."""


class Detectors(Kind):
    """Judged by what they count."""

    def __init__(self, model: ModelFile) -> None:
        self.model = model

    def open(self, path: Path, threads: int) -> Detector:
        """A detector that keeps nearly every score."""
        return Detector(path, self.model.input_size, Selection(LOWEST_SCORE, 0.5), threads)

    def examine(
        self, outcome: Path, images: Sequence[Path], threads: int, on_image: OnImage
    ) -> Examination:
        """By counts and scores."""
        return quantisation_doctor.examine(self.model, outcome, images, threads, on_image)


class Classifiers(Kind):
    """Judged by whether they give the same answers."""

    def __init__(self, model: ClassifierFile) -> None:
        self.model = model

    def open(self, path: Path, threads: int) -> ImageClassifier:
        """The classifier."""
        return ImageClassifier(path, self.model.side, threads)

    def examine(
        self, outcome: Path, images: Sequence[Path], threads: int, on_image: OnImage
    ) -> Examination:
        """By answers and probabilities."""
        return classifier_doctor.examine(self.model, outcome, images, threads, on_image)


def kind_of(model: Convertible) -> Kind:
    """The kind of a model file."""
    return Classifiers(model) if isinstance(model, ClassifierFile) else Detectors(model)
