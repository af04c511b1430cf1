"""Labelled images for classification: every source ends as three splits of `Picture`s.

Splits that the data have are kept, but nothing is learned from that is held out, too; data without
splits are split class by class, equal files always together.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from edgelab.problem import Problem
from runners.datasets.dataset import Sample
from runners.images import ImageProblem, Pixels, read_image, read_regular_file

SPLITS = ("train", "val", "test")
FEWEST = 3
"""Different images that a class must have to be split: one for each split."""


class HasLabel(Protocol):
    """Belongs to a class, or to none."""

    @property
    def label(self) -> int | None:
        """The index of its class."""


L = TypeVar("L", bound=HasLabel)


@dataclass(frozen=True)
class Picture:
    """One labelled image. `read` gives its pixels or raises ImageProblem; `content` tells equal
    images by equal bytes, None where that cannot be read. `path`: where it is a file of its own."""

    name: str
    label: int
    read: Callable[[], Pixels] = field(repr=False)
    content: Callable[[], bytes | None] = field(repr=False)
    path: Path | None = None

    def digest(self) -> str:
        """SHA-256 of the content; of the name where the content cannot be read."""
        return hashlib.sha256(self.content() or self.name.encode()).hexdigest()


def picture_at(path: Path, name: str, label: int) -> Picture:
    """The labelled image file at `path`."""
    return Picture(name, label, partial(read_image, path), partial(_bytes_of, path), path)


def picture_of(sample: Sample, label: int) -> Picture:
    """The image of a sample with its label; one with a problem raises that when it is read."""
    if sample.path is None:
        return Picture(sample.name, label, partial(_refuse, sample.problem or ""), lambda: None)
    return picture_at(sample.path, sample.name, label)


def _refuse(problem: str) -> Pixels:
    raise ImageProblem(problem)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return read_regular_file(path)
    except OSError:
        return None


@dataclass(frozen=True)
class Labelled:
    """Labelled data as found: pictures by split, or all under None where they have no splits."""

    name: str
    classes: tuple[str, ...]
    pictures: dict[str | None, tuple[Picture, ...]]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Splits:
    """What a classifier learns from, is chosen by, and is measured on."""

    name: str
    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    val: tuple[Picture, ...]
    test: tuple[Picture, ...]
    warnings: tuple[str, ...] = ()

    def of(self, split: str) -> tuple[Picture, ...]:
        """A split by its name."""
        pictures: tuple[Picture, ...] = getattr(self, split)
        return pictures

    def by_class(self, split: str) -> tuple[int, ...]:
        """How many pictures of each class a split holds."""
        counts = Counter(picture.label for picture in self.of(split))
        return tuple(counts[index] for index in range(len(self.classes)))

    def fingerprint(self) -> str:
        """SHA-256 over classes and, split by split, each picture's name and label."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split in SPLITS:
            for each in self.of(split):
                digest.update(f"{split}\0{each.name}\0{each.label}\n".encode())
        return digest.hexdigest()


def content_hash(classes: Sequence[str], pictures: Iterable[Picture]) -> str:
    """SHA-256 over classes and, picture by picture, label and content."""
    digest = hashlib.sha256(repr(tuple(classes)).encode())
    for each in pictures:
        digest.update(f"{each.label}\0{each.digest()}\n".encode())
    return digest.hexdigest()


def make_splits(
    data: Labelled, val_share: float, test_share: float, seed: int, limit: int | None = None
) -> Splits:
    """The three splits; the same for the same data and seed.

    Raises Problem for data of one class, for a class without images and for splits that are not
    there. `limit`: the most pictures of each split, the classes in turn.
    """
    warnings = list(data.warnings)
    _check_classes(data)
    if None in data.pictures:
        parts = _stratified(data, val_share, test_share, seed)
    else:
        parts, leaks = without_leaks(_given(data, val_share, seed))
        warnings += leaks
    train, val, test = (tuple(limited(parts[split], limit)) for split in SPLITS)
    splits = Splits(data.name, data.classes, train, val, test, tuple(warnings))
    _check_split(splits)
    return splits


def without_leaks(
    parts: dict[str, list[Picture]],
) -> tuple[dict[str, list[Picture]], list[str]]:
    """Leave out of `train` what is also in `val` or `test`, and out of `val` what is in `test`.

    By content; one sentence for each split that lost some. `test` stays as it was given.
    """
    kept: dict[str, list[Picture]] = {}
    told = []
    held_out: set[str] = set()
    for split in reversed(SPLITS):
        digests = [each.digest() for each in parts[split]]
        pairs = list(zip(parts[split], digests, strict=True))
        kept[split] = [each for each, digest in pairs if digest not in held_out]
        if leaked := len(pairs) - len(kept[split]):
            first = next(each.name for each, digest in pairs if digest in held_out)
            told.append(
                f"{leaked} images of {split} are also held out, byte by byte, such as {first}: "
                f"not used in {split}"
            )
        held_out.update(digests)
    return kept, told


def _check_classes(data: Labelled) -> None:
    counts = Counter(each.label for pictures in data.pictures.values() for each in pictures)
    if len(data.classes) < 2:
        only = data.classes[0] if data.classes else "none"
        raise Problem(f"{data.name}: one class only ({only}): a classifier needs two or more")
    empty = [name for index, name in enumerate(data.classes) if not counts[index]]
    if empty:
        raise Problem(f"{data.name}: no image of the class {empty[0]!r}: add some, or remove it")
    if len(counts) < 2:
        raise Problem(f"{data.name}: all images are of one class: a classifier needs two or more")


def _check_split(splits: Splits) -> None:
    for split in SPLITS:
        counts = splits.by_class(split)
        if split == "train" and 0 in counts:
            missing = splits.classes[counts.index(0)]
            raise Problem(f"{splits.name}: no image of the class {missing!r} to train on")
        if not sum(counts):
            raise Problem(f"{splits.name}: the split {split} is empty")


def _given(data: Labelled, val_share: float, seed: int) -> dict[str, list[Picture]]:
    """The data's own splits; where only train and test are there, val is cut out of train."""
    parts = {str(split): list(pictures) for split, pictures in data.pictures.items()}
    missing = [split for split in SPLITS if split not in parts]
    if missing == ["val"]:
        rest, val, _ = _cut(data, parts["train"], val_share, 0.0, seed)
        return {"train": rest, "val": val, "test": parts["test"]}
    if missing:
        raise Problem(
            f"{data.name}: no split {missing[0]!r}: it has {', '.join(parts)}, expected "
            f"{', '.join(SPLITS)}"
        )
    return parts


def _stratified(
    data: Labelled, val_share: float, test_share: float, seed: int
) -> dict[str, list[Picture]]:
    train, val, test = _cut(data, list(data.pictures[None]), val_share, test_share, seed)
    return {"train": train, "val": val, "test": test}


def _cut(
    data: Labelled, pictures: Sequence[Picture], val_share: float, test_share: float, seed: int
) -> tuple[list[Picture], list[Picture], list[Picture]]:
    """Each class is cut alike; pictures of equal content fall into one part."""
    parts: tuple[list[Picture], list[Picture], list[Picture]] = ([], [], [])
    for label, name in enumerate(data.classes):
        groups: defaultdict[str, list[Picture]] = defaultdict(list)
        for picture in pictures:
            if picture.label == label:
                groups[picture.digest()].append(picture)
        if len(groups) < FEWEST:
            raise Problem(
                f"{data.name}: {len(groups)} different images of the class {name!r}: at least "
                f"{FEWEST} are needed for train, val and test"
            )
        ordered = [groups[digest] for digest in sorted(groups)]
        random.Random(f"{seed} {label}").shuffle(ordered)  # noqa: S311 - no secret
        val = max(1, round(val_share * len(ordered)))
        test = max(1, round(test_share * len(ordered))) if test_share else 0
        for index, group in enumerate(ordered):
            parts[1 if index < val else 2 if index < val + test else 0].extend(group)
    return parts


def limited(pictures: Sequence[L], limit: int | None) -> list[L]:
    """The first `limit`, the classes taking turns, so that a limit leaves none out."""
    if limit is None or len(pictures) <= limit:
        return list(pictures)
    rank: Counter[int | None] = Counter()
    ranked = []
    for picture in pictures:
        ranked.append((rank[picture.label], picture))
        rank[picture.label] += 1
    return [picture for _, picture in sorted(ranked, key=lambda pair: pair[0])[:limit]]
