"""Reading ultralytics dataset files: https://docs.ultralytics.com/datasets/detect/.

A .yaml names splits and classes; each image has a .txt of labels, in the folder `labels` that lies
where its last folder `images` does, one line an object: class index and normalised numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from edgelab.problem import Problem
from edgelab.schema import SchemaProblem, convert
from runners.classes import can_be_written
from runners.datasets.dataset import Dataset, sample_at
from runners.datasets.folder import images_in
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
        """Read the images and labels of one split. Raises Problem naming file, line, value."""
        if split not in self.splits:
            raise Problem(
                f"{self.file}: no split {split!r}, it has {', '.join(self.splits) or 'none'}"
            )
        paths = [path for source in self.splits[split] for path in self._images(source)]
        if not paths:
            raise Problem(f"{self.file}: {split}: no images in {', '.join(self.splits[split])}")
        labels = [_label_file(path) for path in paths]
        annotated = any(label.is_file() for label in labels)
        samples = tuple(
            sample_at(path, self._name(path), self._truth(label) if annotated else None)
            for path, label in zip(paths, labels, strict=True)
        )
        warnings = () if annotated else ("no label files were found: counts have nothing to match",)
        return Dataset(name, split, self.classes, samples, warnings)

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

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _truth(self, label: Path) -> dict[int, int]:
        """Objects by class; an image without a label file has none. Equal lines count once."""
        try:
            lines = label.read_text("utf-8-sig").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(f"{label}: cannot be read ({error})") from None
        counts: dict[int, int] = {}
        objects = {
            self._object(label, number, line.split())
            for number, line in enumerate(lines, 1)
            if line.strip()
        }
        for class_index, *_ in objects:
            counts[class_index] = counts.get(class_index, 0) + 1
        return counts

    def _object(self, label: Path, number: int, words: list[str]) -> tuple[int, *tuple[float, ...]]:
        """One line: a class index, then a box (4 numbers) or an outline (6 or more)."""
        try:
            class_index, *numbers = (float(word) for word in words)
        except ValueError:
            raise Problem(f"{label}: line {number}: expected numbers, found {words}") from None
        if len(numbers) < 4:
            raise Problem(f"{label}: line {number}: expected a class and 4 numbers, found {words}")
        if class_index not in range(len(self.classes)):
            raise Problem(
                f"{label}: line {number}: class {words[0]}, expected 0 to {len(self.classes) - 1}"
            )
        return int(class_index), *numbers


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


def _label_file(image: Path) -> Path:
    parts = list(image.with_suffix(".txt").parts)
    folders = parts[:-1]
    if "images" in folders:
        parts[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return Path(*parts)
