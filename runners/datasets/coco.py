"""Reading COCO object detection files: https://cocodataset.org/#format-data."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgelab.problem import Problem
from edgelab.schema import SchemaProblem
from runners.datasets.dataset import WHOLE, Dataset, Sample, sample_inside

Id = int | str


class _Image(msgspec.Struct, frozen=True):
    id: Id
    file_name: str


class _Annotation(msgspec.Struct, frozen=True):
    image_id: Id
    category_id: Id
    iscrowd: int = 0


class _Category(msgspec.Struct, frozen=True):
    id: Id
    name: str


class _File(msgspec.Struct, frozen=True):
    """Only what counting needs: outlines and the like are skipped while reading, not kept."""

    images: tuple[_Image, ...]
    annotations: tuple[_Annotation, ...]
    categories: tuple[_Category, ...]


def read_coco(annotations: Path, images: Path | None, name: str, split: str = WHOLE) -> Dataset:
    """Read a COCO .json with its folder of images; None means `images` beside the file.

    Classes are the categories in the order of the file. Crowd annotations (`iscrowd`) outline
    groups and are not counted as objects. Raises SchemaProblem or Problem naming file and key.
    """
    folder = images or annotations.parent / "images"
    if not folder.is_dir():
        raise Problem(f"{folder}: no such folder of images: name it with --images")
    file = _read(annotations)
    truth, crowds = _truth_by_image(annotations, file)
    samples = tuple(_sample(folder, image, truth) for image in file.images)
    warnings = (
        (f"{crowds} crowd annotations (iscrowd) are not counted as objects",) if crowds else ()
    )
    return Dataset(name, split, tuple(each.name for each in file.categories), samples, warnings)


def _read(path: Path) -> _File:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise SchemaProblem(f"{path}: cannot be read ({error.strerror})") from None
    except msgspec.ValidationError as error:
        raise SchemaProblem(f"{path}: not a COCO file: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaProblem(f"{path}: not valid JSON ({error})") from None
    if not file.images:
        raise Problem(f"{path}: images is empty: there is nothing to run")
    return file


def _truth_by_image(path: Path, file: _File) -> tuple[dict[Id, dict[int, int]], int]:
    """Objects by image id and class index, and how many crowd annotations were left out."""
    class_of = {category.id: index for index, category in enumerate(file.categories)}
    if len(class_of) < len(file.categories):
        raise Problem(f"{path}: categories: an id occurs twice, each must occur once")
    truth: dict[Id, dict[int, int]] = {image.id: {} for image in file.images}
    if len(truth) < len(file.images):
        raise Problem(f"{path}: images: an id occurs twice, each must occur once")
    crowds = 0
    for index, annotation in enumerate(file.annotations):
        objects = truth.get(annotation.image_id)
        class_index = class_of.get(annotation.category_id)
        if objects is None or class_index is None:
            key, value = (
                ("image_id", annotation.image_id)
                if objects is None
                else ("category_id", annotation.category_id)
            )
            raise Problem(f"{path}: annotations[{index}].{key} = {value!r}: no such id in the file")
        if annotation.iscrowd:
            crowds += 1
        else:
            objects[class_index] = objects.get(class_index, 0) + 1
    return truth, crowds


def _sample(folder: Path, image: _Image, truth: dict[Id, dict[int, int]]) -> Sample:
    return sample_inside(folder, image.file_name, truth[image.id])
