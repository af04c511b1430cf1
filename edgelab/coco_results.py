"""Detections as COCO results, which COCO's own evaluation and other tools read (`loadRes`).

https://cocodataset.org/#format-results: image_id, category_id, bbox (left, top, width, height, px)
and score. A run over a COCO file keeps the file's ids in artifacts/coco.json for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.journal import JournalReader
from edgelab.problem import Problem
from edgelab.records import DetectedItem, Header
from edgelab.run_folder import RunFolder
from edgelab.schema import read_json
from edgelab.settings.common import Precision

IDS_VERSION = 1

Id = int | str


class CocoIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`images`: of each image of the run; `categories`: of each class of the model, None where it
    is not counted."""

    version: Annotated[int, Meta(ge=IDS_VERSION, le=IDS_VERSION)]
    images: tuple[Id | None, ...]
    categories: tuple[Id | None, ...]


class CocoResult(msgspec.Struct, frozen=True):
    """One detection."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    score: float


def write_coco_ids(folder: RunFolder, ids: CocoIds) -> None:
    """Keep them with the run; raises OSError."""
    replace_file(_path(folder), msgspec.json.encode(ids))


def coco_results(folder: RunFolder, precision: Precision | None) -> str:
    """The detections of a pass, of the classes that were counted, as a JSON document.

    `precision` may be left out where the run has one. Raises Problem where there is none to tell.
    """
    if not _path(folder).exists():
        raise Problem(f"run {folder.id}: its data are no COCO file: its images have no COCO ids")
    ids, found = read_json(_path(folder), CocoIds), _passes(folder)
    if precision is None and len(found) > 1:
        raise Problem(f"run {folder.id}: --precision: choose one of {', '.join(found)}")
    items = found.get(precision or next(iter(found), Precision.FP32))
    if not items:
        raise Problem(f"run {folder.id}: no image was measured in {precision or 'any precision'}")
    rows = [row for item in items for row in _rows(item, ids)]
    return msgspec.json.encode(rows).decode() + "\n"


def _passes(folder: RunFolder) -> dict[Precision, list[DetectedItem]]:
    """The first repetition of each: later ones find the same."""
    journal: JournalReader[DetectedItem] = JournalReader(folder.items, Header | DetectedItem)
    found: dict[Precision, list[DetectedItem]] = {}
    for item in journal.poll():
        if item.repetition == 0:
            found.setdefault(item.precision, []).append(item)
    return found


def _rows(item: DetectedItem, ids: CocoIds) -> Iterator[CocoResult]:
    image = ids.images[item.index]
    for left, top, right, bottom, score, label in item.detections:
        category = ids.categories[label] if label < len(ids.categories) else None
        if image is not None and category is not None:
            yield CocoResult(image, category, (left, top, right - left, bottom - top), score)


def _path(folder: RunFolder) -> Path:
    return folder.artifacts / "coco.json"
