"""The annotations that detectors are trained on and judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgelab.schema import read_json
from runners.datasets.shapes import CocoFile


def read_annotations(split: Path) -> CocoFile:
    """Read `annotations.json` of a split's folder; raises `edgelab.schema.SchemaProblem`."""
    return read_json(split / "annotations.json", CocoFile)


def count_objects(coco: CocoFile) -> NDArray[np.int64]:
    """How many objects of each class each image holds: (images, classes), in the file's order."""
    rows = {image.id: row for row, image in enumerate(coco.images)}
    columns = {category.id: column for column, category in enumerate(coco.categories)}
    counts = np.zeros((len(rows), len(columns)), np.int64)
    for item in coco.annotations:
        counts[rows[item.image_id], columns[item.category_id]] += 1
    return counts
