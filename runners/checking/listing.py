"""What annotations say, as far as files and boxes can be checked against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from edgelab.dataset_report import Finding, Kind
from runners.datasets.dataset import Sample


class PlacedBox(NamedTuple):
    """A sound box: left, top, width, height, in px, or as shares of the image's sides."""

    where: str
    x: float
    y: float
    width: float
    height: float

    def scaled(self, width: int, height: int) -> PlacedBox:
        """Shares of an image of so many px, as px."""
        return PlacedBox(
            self.where, self.x * width, self.y * height, self.width * width, self.height * height
        )


@dataclass
class ListedImage:
    """An image as its annotations tell of it. `size`: width, height, px; `relative`: its boxes."""

    name: str
    path: Path | None
    problem: str | None = None
    size: tuple[int, int] | None = None
    relative: bool = False
    boxes: list[PlacedBox] = field(default_factory=list)

    @staticmethod
    def of(sample: Sample, size: tuple[int, int] | None = None) -> ListedImage:
        """An image of a dataset that was read."""
        return ListedImage(sample.name, sample.path, sample.problem, size)


@dataclass
class Listing:
    """All images of a dataset, what was found so far, and crowds by class."""

    images: list[ListedImage] = field(default_factory=list)
    crowds: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def found(self, kind: Kind, where: str, what: str) -> None:
        """One more finding."""
        self.findings.append(Finding(kind, printable(where), printable(what)))

    def sorted_findings(self) -> tuple[Finding, ...]:
        """By kind, within a kind in the order of the data."""
        order = {kind: place for place, kind in enumerate(Kind)}
        return tuple(sorted(self.findings, key=lambda finding: order[finding.kind]))


def printable(text: str) -> str:
    """Text that can be written as UTF-8: file names need not be, nor what JSON escapes."""
    return text.encode(errors="backslashreplace").decode()
