"""Look through a dataset: `python -m runners.check_dataset NAME_OR_PATH --report FILE`.

Leaves a DatasetReport in FILE. A line on stdout tells how far it is; where the data cannot be
looked through at all, the last line on stderr tells why and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import msgspec

from edgelab.catalogue import Catalogue
from edgelab.dataset_report import DatasetReport
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.detect import DetectSettings
from edgelab.words import duration
from runners.checking.report import check_dataset
from runners.datasets.source import open_source
from runners.detector_file import open_detector

FAILED_EXIT = 1
PERIOD_S = 0.5


class Progress:
    """Tells on stdout how far it is, at most twice a second, with the time left."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._due = 0.0

    def __call__(self, done: int, total: int) -> None:
        """So many are done."""
        moment = time.monotonic()
        if moment < self._due and done != total:
            return
        self._due = moment + PERIOD_S
        left = (moment - self._started) / done * (total - done)
        _say(f"{self._what}: {done} of {total}, {duration(left)} left")


def main() -> None:
    """Read the command line and look."""
    parser = argparse.ArgumentParser(description="Look through a dataset for what is wrong.")
    parser.add_argument("dataset")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--images")
    parser.add_argument("--split")
    parser.add_argument("--class", action="append", dest="classes")
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--model")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        report = _check(options)
        replace_file(options.report, msgspec.json.encode(report))
    except (Problem, OSError) as problem:
        print(problem, file=sys.stderr, flush=True)  # noqa: T201 - what the caller shows
        raise SystemExit(FAILED_EXIT) from None


def _check(options: argparse.Namespace) -> DatasetReport:
    home = Home.default()
    catalogue = Catalogue(home)
    settings = DetectSettings(
        model=options.model or "none",
        dataset=options.dataset,
        images=options.images,
        split=options.split,
        classes=tuple(options.classes) if options.classes else None,
        per_class=options.per_class,
    )
    _say("reading the annotations")
    source = open_source(settings, catalogue, home, _Drawing())
    model = open_detector(_Fetching(), home, options.model, None).file if options.model else None
    return check_dataset(source, settings, model, Progress("images"))


class _Drawing:
    """Tells of generated images while they are drawn."""

    def __init__(self) -> None:
        self._progress: dict[str, Progress] = {}

    def __call__(self, split: str, done: int, total: int) -> None:
        """One more image of the split."""
        self._progress.setdefault(split, Progress(f"drawing {split}"))(done, total)


class _Fetching:
    """Tells what is done until a model can be read."""

    def phase(self, name: str, total: int | None = None, unit: str = "images") -> None:
        """It begins now."""
        _say(name if total is None else f"{name}: {total} {unit}")

    def progress(self, done: int) -> None:
        """Nobody waits long."""

    def warning(self, text: str) -> None:
        """A line of its own."""
        _say(text)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the caller reads it


if __name__ == "__main__":
    main()
