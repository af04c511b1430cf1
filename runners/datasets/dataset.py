"""What every dataset looks like once it is read: images in a fixed order, and what is on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import msgspec

from edgelab.coco_results import Id

T = TypeVar("T")

WHOLE = "all"
"""The split of data that has none."""


class Box(NamedTuple):
    """An annotated box: `label`, a class index of the dataset; left, top, width, height, px.

    `crowd`: it outlines a group; what is found there is neither right nor wrong.
    """

    label: int
    x: float
    y: float
    width: float
    height: float
    crowd: bool = False


@dataclass(frozen=True)
class Sample:
    """One image. `truth`: objects by class index of the dataset, None without annotations.

    `name` is what a person calls it: relative to the images' folder. With a `problem` it cannot be
    read, and has no path. `evaluated`: the classes whose sub-datasets it belongs to, None: all.
    `coco_id`: what a COCO file calls it.
    """

    name: str
    path: Path | None
    truth: dict[int, int] | None = None
    problem: str | None = None
    evaluated: tuple[int, ...] | None = None
    boxes: tuple[Box, ...] | None = None
    coco_id: Id | None = None

    @property
    def size_bytes(self) -> int | None:
        """The size of the file, None where there is none."""
        try:
            return self.path.stat().st_size if self.path is not None else None
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Dataset:
    """A split of a dataset. `warnings`: what its reader found and went on.

    `relative_boxes`: boxes are in shares of the image's sides, not in px. `coco_ids`: what a COCO
    file calls the classes.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    relative_boxes: bool = False
    coco_ids: tuple[Id, ...] = ()

    @property
    def has_truth(self) -> bool:
        """True where the images are annotated."""
        return any(sample.truth is not None for sample in self.samples)

    @property
    def objects(self) -> int | None:
        """Annotated objects in all images; None without annotations."""
        if not self.has_truth:
            return None
        return sum(sum(sample.truth.values()) for sample in self.samples if sample.truth)

    def limited(self, limit: int | None) -> Dataset:
        """The first `limit` images."""
        return replace(self, samples=self.samples[:limit])

    def fingerprint(self) -> str:
        """SHA-256 over classes and, in order, each image's name, file size, truth, sub-datasets and
        boxes.

        Two runs over data with the same fingerprint counted the same objects in the same files; the
        pixels are not read for it.
        """
        facts = [_facts(sample) for sample in self.samples]
        return hashlib.sha256(msgspec.json.encode((self.classes, facts))).hexdigest()


def _facts(sample: Sample) -> list[object]:
    truth = sorted(sample.truth.items()) if sample.truth else []
    facts: list[object] = [sample.name, sample.size_bytes, truth]
    if sample.evaluated is not None:
        facts.append(sample.evaluated)
    if sample.boxes:
        facts.append({"boxes": sample.boxes})
    return facts


def sample_at(path: Path, name: str, truth: dict[int, int] | None = None) -> Sample:
    """The image at `path`. Journals are UTF-8: a file named otherwise becomes a problem."""
    try:
        f"{path}{name}".encode()
    except UnicodeEncodeError:
        printable = name.encode(errors="backslashreplace").decode()
        return Sample(printable, None, truth, "the file name is not UTF-8")
    return Sample(name, path, truth)


def sample_inside(
    folder: Path,
    name: str,
    truth: dict[int, int] | None = None,
    boxes: tuple[Box, ...] | None = None,
) -> Sample:
    """The image `name` of `folder`, where a name from an annotation file may be hostile.

    A name that leads out of the folder becomes a sample with a problem, which the run records.
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        return Sample(name, None, truth, "the file name leads out of the image folder")
    return replace(sample_at(folder / name, name, truth), boxes=boxes)


def evenly(samples: Sequence[T], count: int) -> list[T]:
    """`count` of the samples, evenly spread over all of them; all where there are fewer."""
    if len(samples) <= count:
        return list(samples)
    return [samples[index * len(samples) // count] for index in range(count)]
