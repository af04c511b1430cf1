"""`python -m runners.datasets.draw PROFILE_TOML FOLDER`: draw all splits of a generated dataset.

It prints where they lie; a run draws only the splits that it needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgelab.catalogue import GeneratedDataset
from edgelab.problem import Problem
from edgelab.schema import read_toml
from runners.datasets import charts, shapes


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all splits of a profile; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runners.datasets.draw", description=__doc__)
    parser.add_argument("profile", type=Path, metavar="PROFILE_TOML")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        for folder in draw_all(options.profile, options.folder):
            sys.stdout.write(f"{folder}\n")
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def draw_all(file: Path, folder: Path) -> Iterator[Path]:
    """The folders of all splits, drawn where they are not there; raises Problem, OSError."""
    match read_toml(file, GeneratedDataset).generator:
        case "shapes":
            scenes = shapes.read_profile(file)
            for split in shapes.SPLITS:
                yield shapes.ensure_split(scenes, split, folder)
        case "charts":
            drawings = charts.read_profile(file)
            for part in charts.SPLITS:
                yield charts.ensure_split(drawings, part, folder)


if __name__ == "__main__":
    sys.exit(main())
