"""What a classifier's file is: read from the file itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgelab.problem import Problem
from runners.classify_input import CLASSIFY
from runners.model_file import OnnxFile, check_names, output_shapes, read_onnx

SMALLEST = 8
"""Px a side, as in training."""


@dataclass(frozen=True, kw_only=True)
class ClassifierFile(OnnxFile):
    """An ONNX classifier of so many `classes`; its input is a square."""

    classes: int

    @property
    def side(self) -> int:
        """Px a side of the input."""
        return self.input_size[0]


def read_classifier(path: Path, name: str, image_size: int | None = None) -> ClassifierFile:
    """Read and try out the classifier at `path`; raises Problem where it is none.

    `image_size` as for a detector.
    """
    file, _ = read_onnx(path, name, CLASSIFY, image_size, SMALLEST)
    height, width = file.input_size
    if height != width:
        raise Problem(f"{path}: takes images of {height}x{width} px, expected a square")
    shapes = output_shapes(path, file.input_size)
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 1 or shapes[0][1] < 2:
        raise Problem(f"{path}: gives outputs of {shapes}, expected one of (1, classes)")
    check_names(file.metadata, shapes[0][1], path)
    return ClassifierFile(**vars(file), classes=shapes[0][1])
