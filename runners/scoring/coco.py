"""Matching detections with objects by pycocotools, COCO's own evaluation, class by class.

A class is evaluated over the images of its sub-dataset, all sizes together, at most 100 detections
an image and class: COCO's AP and AP50.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.datasets.dataset import Box
from runners.scoring.average_precision import Matches
from runners.scoring.bootstrap import Floats
from runners.scoring.scored import Found, ScoredImage

MAX_DETECTIONS = 100
_ALL_AREAS = [0, 1e5**2]


@dataclass(frozen=True)
class ClassMatches:
    """One class: `ap`, (IoUs,), as pycocotools gives it, None without an object."""

    matches: Matches
    ap: Floats | None


class Matcher:
    """Matches the images of a pass."""

    def __init__(self, images: Sequence[ScoredImage]) -> None:
        self._images = images
        with _silent():
            self._truth = _coco([_annotation(i, b) for i, x in enumerate(images) for b in x.boxes])
            self._found = _coco([_result(i, f) for i, x in enumerate(images) for f in x.found])

    def match(self, class_index: int) -> ClassMatches:
        """The matches of one class."""
        evaluation = COCOeval(self._truth, self._found, "bbox")
        parameters = evaluation.params
        parameters.catIds = [class_index]
        parameters.imgIds = self._images_of(class_index)
        parameters.areaRng, parameters.areaRngLbl = [_ALL_AREAS], ["all"]
        parameters.maxDets = [MAX_DETECTIONS]
        with _silent():
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, 0, 0, 0]
        ap = None if (precision < 0).all() else precision.mean(axis=1)
        return ClassMatches(self._matches(evaluation), ap)

    def _images_of(self, class_index: int) -> list[int]:
        """Images of its sub-dataset on which it is or was found; others change nothing."""
        return [
            place
            for place, image in enumerate(self._images)
            if (image.evaluated is None or class_index in image.evaluated)
            and (
                any(box.label == class_index for box in image.boxes)
                or any(row[5] == class_index for row in image.found)
            )
        ]

    def _matches(self, evaluation: Any) -> Matches:
        seen = [each for each in evaluation.evalImgs if each is not None]
        ious = len(evaluation.params.iouThrs)
        objects = np.zeros(len(self._images))
        for each in seen:
            objects[each["image_id"]] = np.count_nonzero(np.asarray(each["gtIgnore"]) == 0)
        places = [np.full(len(each["dtScores"]), each["image_id"]) for each in seen]
        scores = _joined([each["dtScores"] for each in seen])
        best = np.argsort(-scores, kind="mergesort")  # the order that pycocotools takes
        ignored = _joined([each["dtIgnore"] for each in seen], ious).astype(np.bool_)[:, best]
        hits = _joined([each["dtMatches"] for each in seen], ious)[:, best] > 0
        image = _joined(places).astype(np.intp)[best]
        return Matches(image, hits & ~ignored, ignored, objects)


def _joined(parts: Sequence[Any], rows: int | None = None) -> Floats:
    """Along the last axis; empty where there is nothing."""
    empty = np.zeros(0 if rows is None else (rows, 0))
    return np.concatenate([empty, *map(np.asarray, parts)], axis=-1)


def _coco(annotations: list[dict[str, Any]]) -> Any:
    """pycocotools' index over annotations; an id of 0 would mean: no match."""
    index = COCO()
    numbered = [{**each, "id": number} for number, each in enumerate(annotations, 1)]
    index.dataset = {"images": [], "categories": [], "annotations": numbered}
    index.createIndex()
    return index


def _annotation(image: int, box: Box) -> dict[str, Any]:
    area = box.width * box.height
    sides = [box.x, box.y, box.width, box.height]
    return _entry(image, box.label, sides, area) | {"iscrowd": int(box.crowd)}


def _result(image: int, found: Found) -> dict[str, Any]:
    left, top, right, bottom, score, label = found
    sides = [left, top, right - left, bottom - top]
    return _entry(image, label, sides, sides[2] * sides[3]) | {"score": score}


def _entry(image: int, label: int, sides: list[float], area: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": label, "bbox": sides, "area": area, "iscrowd": 0}


def _silent() -> contextlib.redirect_stdout[io.StringIO]:
    """pycocotools prints what it does."""
    return contextlib.redirect_stdout(io.StringIO())
