"""Images with a class each, as a .csv names them: for classifiers, and to be looked through."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from edgelab.problem import Problem
from runners.datasets.dataset import WHOLE, Dataset, sample_at, sample_inside
from runners.datasets.labelled import SPLITS, Labelled, Picture, picture_at


def split_of(data: Labelled, name: str, split: str | None) -> Dataset:
    """A split as a dataset: one object an image, its class, and no box. Raises Problem."""
    if split is not None and split not in data.pictures:
        listed = ", ".join(each for each in data.pictures if each is not None)
        raise Problem(f"{name}: no split {split!r}, it has {listed}")
    samples = tuple(
        sample_at(picture.path, picture.name, {picture.label: 1})
        for picture in data.pictures[split]
        if picture.path is not None
    )
    return Dataset(name, split or WHOLE, data.classes, samples)


def read_csv(path: Path) -> Labelled:
    """Columns `image` and `label`, and `split` where the data have splits.

    Image names are relative to the file's folder; labels are any text, the classes are theirs in
    order. Raises Problem naming the line.
    """
    rows = list(_rows(path))
    classes = tuple(sorted({row["label"] for _, row in rows}))
    index = {name: label for label, name in enumerate(classes)}
    pictures: dict[str | None, list[Picture]] = {}
    for line, row in rows:
        sample = sample_inside(path.parent, row["image"])
        if sample.path is None:
            raise Problem(f"{path}: line {line}: image = {row['image']!r}: {sample.problem}")
        split = row.get("split") or None
        if split not in (None, *SPLITS):
            raise Problem(
                f"{path}: line {line}: split = {split!r}: expected {', '.join(SPLITS)} or nothing"
            )
        picture = picture_at(sample.path, row["image"], index[row["label"]])
        pictures.setdefault(split, []).append(picture)
    if None in pictures and len(pictures) > 1:
        raise Problem(f"{path}: some lines name a split and some do not")
    return Labelled(path.stem, classes, {split: tuple(each) for split, each in pictures.items()})


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read ({error})") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        yield from _named(path, reader)
    except csv.Error as error:
        raise Problem(f"{path}: line {reader.reader.line_num}: {error}") from None


def _named(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    if missing := {"image", "label"} - set(reader.fieldnames or ()):
        raise Problem(f"{path}: no column {min(missing)!r}: expected image, label and maybe split")
    found = False
    for row in reader:
        for key in ("image", "label"):
            if not row[key]:
                raise Problem(f"{path}: line {reader.line_num}: {key} is empty")
        found = True
        yield reader.line_num, row
    if not found:
        raise Problem(f"{path}: no lines below the header")
