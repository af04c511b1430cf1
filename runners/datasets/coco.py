"""Reading COCO object detection files: https://cocodataset.org/#format-data."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from edgelab.coco_results import Id
from edgelab.problem import Problem
from edgelab.schema import SchemaProblem
from runners.classes import can_be_written
from runners.datasets.dataset import WHOLE, Box, Dataset, Sample, sample_inside


class CocoImage(msgspec.Struct, frozen=True):
    """One image; `width`, `height` in px where the file tells them."""

    id: Id
    file_name: str
    width: Any = None
    height: Any = None


class CocoAnnotation(msgspec.Struct, frozen=True):
    """One annotation as it stands: what is wrong with it costs itself, not the file."""

    image_id: Any = None
    category_id: Any = None
    iscrowd: Any = 0
    bbox: Any = None
    id: Any = None


class CocoCategory(msgspec.Struct, frozen=True):
    """One category."""

    id: Id
    name: str


class CocoFile(msgspec.Struct, frozen=True):
    """Only what counting needs: outlines and the like are skipped while reading, not kept."""

    images: tuple[CocoImage, ...]
    annotations: tuple[CocoAnnotation, ...]
    categories: tuple[CocoCategory, ...]


def read_coco(annotations: Path, images: Path | None, name: str, split: str = WHOLE) -> Dataset:
    """Read a COCO .json with its folder of images; None means `images` beside the file.

    Classes are the categories in the order of the file. Crowd annotations (`iscrowd`) outline
    groups and are not counted as objects. Annotations that cannot be used are left out and counted
    in a warning, and so are images and categories whose id was there before. Raises SchemaProblem
    or Problem naming file and key where nothing is left to run.
    """
    folder = images_folder(annotations, images)
    file = read_coco_file(annotations)
    if not file.images:
        raise Problem(f"{annotations}: images is empty: there is nothing to run")
    return _Reading(annotations, file).dataset(folder, name, split)


def images_folder(annotations: Path, images: Path | None) -> Path:
    """The folder of images of a COCO .json; raises Problem where there is none."""
    folder = images or annotations.parent / "images"
    if not folder.is_dir():
        raise Problem(f"{folder}: no such folder of images: name it with --images")
    return folder


def read_coco_file(path: Path) -> CocoFile:
    """Decode the file; raises SchemaProblem. NaN, which JSON has not but Python writes, is read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SchemaProblem(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _decode(data)
    except msgspec.ValidationError as error:
        raise SchemaProblem(f"{path}: not a COCO file: {error}") from None
    except (ValueError, RecursionError) as error:
        raise SchemaProblem(f"{path}: not valid JSON ({error})") from None


def _decode(data: bytes) -> CocoFile:
    try:
        return msgspec.json.decode(data, type=CocoFile)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        file = msgspec.convert(json.loads(data), CocoFile)
    if not can_be_written(category.name for category in file.categories):
        raise ValueError("a category's name is not valid Unicode")
    return file


def box_fault(bbox: Any) -> str | None:
    """What is wrong with a box of left, top, width, height in px; None: nothing, or no box."""
    if bbox is None:
        return None
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        return "4 numbers (left, top, width, height) are expected"
    if not all(map(math.isfinite, bbox)):
        return "finite numbers are expected"
    if bbox[2] <= 0 or bbox[3] <= 0:
        return "width and height must be above 0"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Reading:
    """One file on its way to a dataset."""

    def __init__(self, path: Path, file: CocoFile) -> None:
        self._path = path
        self._file = file
        self._faults: Counter[str] = Counter()
        self._crowds = 0
        self._categories = self._firsts(file.categories, "categories")
        self._images = self._firsts(file.images, "images")
        self._class_of = {key: index for index, key in enumerate(self._categories)}
        self._truth: dict[Id, dict[int, int]] = {key: {} for key in self._images}
        self._boxes: dict[Id, list[Box]] = {key: [] for key in self._images}

    def dataset(self, folder: Path, name: str, split: str) -> Dataset:
        for annotation in self._file.annotations:
            fault = self._fault(annotation)
            if fault is None:
                self._take(annotation)
            else:
                self._faults[fault] += 1
        if self._file.annotations and not self._used:
            raise Problem(f"{self._path}: annotations: none can be used ({self._listed_faults()})")
        samples = tuple(self._sample(folder, image) for image in self._images.values())
        classes = tuple(each.name for each in self._categories.values())
        warnings, ids = tuple(self._warnings()), tuple(self._categories)
        return Dataset(name, split, classes, samples, warnings, coco_ids=ids)

    @property
    def _used(self) -> int:
        return self._crowds + sum(sum(truth.values()) for truth in self._truth.values())

    def _firsts(self, entries: tuple[Any, ...], key: str) -> dict[Id, Any]:
        """By id; of several with the same, the first."""
        found: dict[Id, Any] = {}
        for entry in entries:
            if found.setdefault(entry.id, entry) is not entry:
                self._faults[f"id of {key} that was there before"] += 1
        return found

    def _fault(self, annotation: CocoAnnotation) -> str | None:
        if not is_known(annotation.image_id, self._images):
            return "annotation of an image that is not in the file"
        if not is_known(annotation.category_id, self._class_of):
            return "annotation of a category that is not in the file"
        if annotation.iscrowd not in (0, 1):
            return "iscrowd that is neither 0 nor 1"
        return "box without an extent, or no box" if box_fault(annotation.bbox) else None

    def _take(self, annotation: CocoAnnotation) -> None:
        class_index = self._class_of[annotation.category_id]
        crowd = bool(annotation.iscrowd)
        if crowd:
            self._crowds += 1
        else:
            truth = self._truth[annotation.image_id]
            truth[class_index] = truth.get(class_index, 0) + 1
        if annotation.bbox is not None:
            x, y, width, height = annotation.bbox
            self._boxes[annotation.image_id].append(Box(class_index, x, y, width, height, crowd))

    def _sample(self, folder: Path, image: CocoImage) -> Sample:
        boxes = tuple(self._boxes[image.id])
        found = sample_inside(folder, image.file_name, self._truth[image.id], boxes)
        return replace(found, coco_id=image.id)

    def _warnings(self) -> list[str]:
        warnings = []
        if self._crowds:
            warnings.append(
                f"{self._crowds} crowd annotations (iscrowd) are not counted as objects"
            )
        if self._faults:
            warnings.append(
                f"{self._path}: left out: {self._listed_faults()} "
                "(`edgelab datasets check` names each)"
            )
        return warnings

    def _listed_faults(self) -> str:
        return ", ".join(f"{count} x {fault}" for fault, count in self._faults.items())


def is_known(key: Any, ids: Mapping[Id, Any]) -> bool:
    """True where `key`, which may be anything, is one of the ids."""
    return isinstance(key, int | str) and key in ids
