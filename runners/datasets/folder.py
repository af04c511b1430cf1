"""Reading a plain folder of images: latency and counts, nothing to compare them with."""

from __future__ import annotations

from pathlib import Path

from edgelab.problem import Problem
from runners.datasets.dataset import WHOLE, Dataset, sample_at
from runners.images import SUFFIXES


def read_folder(folder: Path, name: str) -> Dataset:
    """All images in `folder` and below it, by name. Raises Problem where there are none."""
    samples = tuple(sample_at(path, str(path.relative_to(folder))) for path in images_in(folder))
    if not samples:
        raise Problem(f"{folder}: no images in it (looked for {', '.join(sorted(SUFFIXES))})")
    return Dataset(name, WHOLE, (), samples)


def images_in(folder: Path) -> list[Path]:
    """The image files in and below `folder`, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
