"""The labels of one image as ultralytics writes them: https://docs.ultralytics.com/datasets/detect/.

One line an object: its class, then a box (centre x, centre y, width, height) or an outline (x, y of
three points or more), as shares of the image's width and height.
"""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from runners.datasets.dataset import Box


class Unusable(StrEnum):
    """Why a line is no object."""

    FILE = "label file that cannot be read"
    WORDS = "line that is not of numbers"
    LENGTH = "line of a wrong length"
    CLASS = "class that the dataset does not name"
    FINITE = "box not of finite numbers"
    EXTENT = "box without an extent"


class LabelFault(NamedTuple):
    """A line that is not an object, and what stands there. Line 0: the whole file."""

    line: int
    why: Unusable
    detail: str


class Labels(NamedTuple):
    """What a label file says: objects by line number, in shares of the image's sides."""

    objects: dict[int, Box]
    faults: list[LabelFault]
    doubles: dict[int, int]
    """Lines that say what an earlier line said; that one alone counts, as for ultralytics."""


NO_LABELS = Labels({}, [], {})


def read_labels(path: Path, classes: int) -> Labels:
    """Read a label file; what cannot be used is a fault. A missing file has no objects."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return NO_LABELS
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return Labels({}, [LabelFault(0, Unusable.FILE, str(error))], {})
    return parse_labels(text, classes)


def parse_labels(text: str, classes: int) -> Labels:
    """Read the lines of a label file for a dataset of so many classes."""
    found = Labels({}, [], {})
    first: dict[tuple[float, ...], int] = {}
    for line, words in enumerate(map(str.split, text.splitlines()), 1):
        if not words:
            continue
        numbers = _numbers(words)
        fault = _fault(words, numbers, classes)
        if fault is not None:
            found.faults.append(LabelFault(line, *fault))
        elif (before := first.setdefault(numbers, line)) != line:
            found.doubles[line] = before
        else:
            found.objects[line] = _box(numbers)
    return found


def _numbers(words: list[str]) -> tuple[float, ...]:
    """The line as numbers; empty where a word is none."""
    try:
        return tuple(map(float, words))
    except ValueError:
        return ()


def _fault(
    words: list[str], numbers: tuple[float, ...], classes: int
) -> tuple[Unusable, str] | None:
    shown = " ".join(words)[:80]
    if not numbers:
        return Unusable.WORDS, f"expected numbers, found {shown!r}"
    if len(numbers) < 5 or (len(numbers) > 5 and not len(numbers) % 2):
        return Unusable.LENGTH, f"expected a class and 4 numbers, found {shown!r}"
    if numbers[0] not in range(classes):
        return Unusable.CLASS, f"class {words[0][:40]}, expected 0 to {classes - 1}"
    if not all(map(math.isfinite, numbers)):
        return Unusable.FINITE, f"expected finite numbers, found {shown!r}"
    box = _box(numbers)
    if box.width <= 0 or box.height <= 0:
        return Unusable.EXTENT, f"width and height must be above 0, found {shown!r}"
    return None


def _box(numbers: tuple[float, ...]) -> Box:
    """The box of a line; of an outline the one around it, as ultralytics' segments2boxes."""
    label, *shares = numbers
    if len(shares) == 4:
        x, y, width, height = shares
        return Box(int(label), x - width / 2, y - height / 2, width, height)
    xs, ys = shares[0::2], shares[1::2]
    return Box(int(label), min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
