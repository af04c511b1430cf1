"""Images with questions about them, as a .csv of image, question and answer names them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgelab.problem import Problem
from runners.datasets.dataset import WHOLE, Dataset, sample_inside

COLUMNS = ("image", "question", "answer")


class Row(NamedTuple):
    """A question about an image, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Questions:
    """All questions of a table, by image, in its order. Image names are relative to `folder`."""

    table: Path
    folder: Path
    by_image: dict[str, list[Row]]

    @property
    def count(self) -> int:
        """How many questions there are."""
        return sum(map(len, self.by_image.values()))

    def images(self, name: str) -> Dataset:
        """Each image once; nothing is annotated on them."""
        samples = tuple(sample_inside(self.folder, image) for image in self.by_image)
        return Dataset(name, WHOLE, (), samples)


def asks_questions(path: Path) -> bool:
    """Whether a .csv is one of questions, and not one of labels; raises Problem."""
    header = _header(path)
    return "question" in header and "label" not in header


def read_questions(path: Path, images: Path | None) -> Questions:
    """An image may have several lines; `images`: where its names begin, else beside the table.

    Raises Problem naming the line.
    """
    by_image: dict[str, list[Row]] = {}
    for image, question, answer in _rows(path):
        by_image.setdefault(image, []).append(Row(question, answer))
    return Questions(path, images or path.parent, by_image)


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise Problem(f"{path}: not a CSV file in UTF-8 ({error})") from None
    except OSError as error:
        raise Problem(f"{path}: cannot be read ({error.strerror})") from None


def _rows(path: Path) -> Iterator[tuple[str, ...]]:
    """The cells of each line, in the order of `COLUMNS`; raises Problem naming the line."""
    found = False
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for column in COLUMNS:
                if column not in (reader.fieldnames or ()):
                    raise Problem(f"{path}: no column {column!r}, expected {', '.join(COLUMNS)}")
            for row in reader:
                cells = tuple((row[column] or "").strip() for column in COLUMNS)
                if "" in cells:
                    empty = COLUMNS[cells.index("")]
                    raise Problem(f"{path}:{reader.line_num}: {empty} is empty")
                found = True
                yield cells
    except (csv.Error, UnicodeDecodeError) as error:
        raise Problem(f"{path}: not a CSV file in UTF-8 ({error})") from None
    except OSError as error:
        raise Problem(f"{path}: cannot be read ({error.strerror})") from None
    if not found:
        raise Problem(f"{path}: no rows")
