"""Reading ultralytics dataset files: https://docs.ultralytics.com/datasets/detect/.

A .yaml names splits and classes; each image has a .txt of labels (`runners.datasets.yolo_labels`),
in the folder `labels` that lies where its last folder `images` does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

from edgelab.problem import Problem
from edgelab.schema import SchemaProblem, convert
from runners.classes import can_be_written
from runners.datasets.dataset import Box, Dataset, Sample, sample_at
from runners.datasets.folder import images_in
from runners.datasets.yolo_labels import Labels, read_labels
from runners.images import SUFFIXES

# The library lets Python's own errors through where a value fits no type or nests too deeply.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)

Source = str | tuple[str, ...] | None


class _File(msgspec.Struct, frozen=True):
    """Unknown keys are other programs' business. `download` is never followed."""

    names: dict[int, str] | tuple[str, ...]
    path: str | None = None
    train: Source = None
    val: Source = None
    test: Source = None


@dataclass(frozen=True)
class YoloDataset:
    """A dataset file, read; its splits are opened one by one."""

    file: Path
    root: Path
    classes: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]

    @staticmethod
    def read(file: Path) -> YoloDataset:
        """Read and check the .yaml; a relative `path` starts at its folder. Raises Problem."""
        content = convert(_load(file), _File, str(file))
        root = file.parent / (content.path or "")
        named = {"train": content.train, "val": content.val, "test": content.test}
        splits = {
            split: (source,) if isinstance(source, str) else source
            for split, source in named.items()
            if source
        }
        classes = _class_names(file, content.names)
        if not can_be_written(classes):
            raise SchemaProblem(f"{file}: names: not valid Unicode")
        return YoloDataset(file, root, classes, splits)

    def open(self, split: str, name: str) -> Dataset:
        """Read the images and labels of one split. Lines that cannot be used are left out and told
        by number. Raises Problem where nothing is left to run."""
        images = self.images(split)
        annotated = any(label_file(path).is_file() for path in images)
        labels = [self.labels(path) for path in images] if annotated else []
        samples = [sample_at(path, self.name_of(path)) for path in images]
        if not annotated:
            warning = "no label files were found: counts have nothing to match"
            return Dataset(name, split, self.classes, tuple(samples), (warning,))
        labelled = tuple(map(_labelled, samples, labels))
        warnings = tuple(self._warnings(labels))
        return Dataset(name, split, self.classes, labelled, warnings, relative_boxes=True)

    def images(self, split: str) -> list[Path]:
        """The image files of a split; raises Problem where there are none."""
        if split not in self.splits:
            raise Problem(
                f"{self.file}: no split {split!r}, it has {', '.join(self.splits) or 'none'}"
            )
        paths = [path for source in self.splits[split] for path in self._images(source)]
        if not paths:
            raise Problem(f"{self.file}: {split}: no images in {', '.join(self.splits[split])}")
        return paths

    def labels(self, image: Path) -> Labels:
        """What the label file of an image says."""
        return read_labels(label_file(image), len(self.classes))

    def name_of(self, path: Path) -> str:
        """A file as a person calls it: from the root on."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _warnings(self, labels: list[Labels]) -> list[str]:
        faults = Counter(fault.why for each in labels for fault in each.faults)
        listed = ", ".join(f"{count} x {why}" for why, count in faults.items())
        more = "(`edgelab datasets check` names each)"
        return [f"{self.file}: labels left out: {listed} {more}"] if faults else []

    def _images(self, source: str) -> list[Path]:
        """The images of one entry of a split: a folder, or a .txt that lists files."""
        place = self.root / source
        if place.is_dir():
            return images_in(place)
        if place.is_file():
            return sorted(self._listed(place))
        raise Problem(f"{self.file}: {source}: {place} does not exist")

    def _listed(self, listing: Path) -> list[Path]:
        """Files named line by line: absolute, from the root, or by `./` from the list's folder."""
        lines = listing.read_text("utf-8-sig", errors="surrogateescape").splitlines()
        return [
            (listing.parent if line.startswith("./") else self.root) / line
            for line in (line.strip() for line in lines)
            if Path(line).suffix.lower() in SUFFIXES
        ]


def _load(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise SchemaProblem(f"{file}: cannot be read ({error.strerror})") from None
    except _YAML_ERRORS as error:
        raise SchemaProblem(f"{file}: not valid YAML ({' '.join(str(error).split())})") from None


def _class_names(file: Path, names: dict[int, str] | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(names, tuple):
        return names
    if sorted(names) != list(range(len(names))):
        raise SchemaProblem(f"{file}: names: expected the indices 0 to {len(names) - 1}, each once")
    return tuple(names[index] for index in range(len(names)))


def label_file(image: Path) -> Path:
    """Where the labels of an image are looked for."""
    parts = list(image.with_suffix(".txt").parts)
    folders = parts[:-1]
    if "images" in folders:
        parts[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return Path(*parts)


def _labelled(sample: Sample, labels: Labels) -> Sample:
    """The sample with its objects; none are known where the label file cannot be read."""
    if any(fault.line == 0 for fault in labels.faults):
        return sample
    boxes: tuple[Box, ...] = tuple(labels.objects.values())
    return replace(sample, truth=dict(Counter(box.label for box in boxes)), boxes=boxes)
