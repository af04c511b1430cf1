"""The charts dataset: images of charts with their types, and questions with their answers.

A run draws only the splits that it needs; `python -m runners.datasets.draw` draws them all. As in
`runners.datasets.shapes`, every image has a random generator of its own, seeded by (seed, split,
index), and a split is there whole or not at all. The pixels are the same for the same numpy and
matplotlib, whose own font the letters are in; only drawing needs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from edgelab.catalogue import GeneratedDataset
from edgelab.schema import read_json, read_toml
from runners.datasets.chart_facts import ChartType, Question
from runners.datasets.dataset import Dataset, sample_inside
from runners.datasets.whole_split import ensure_whole
from runners.extras import needs
from runners.images import write_png

GENERATOR_VERSION = 1
"""Part of the cache key: raise it whenever the same parameters give other images."""

FILE_VERSION = 1

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Progress = Callable[[int, int], None]
"""Is told (images done, images in all)."""

Count = Annotated[int, Meta(ge=1)]


class ChartCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many images each split holds, all types together: they take turns."""

    train: Count
    val: Count
    test: Count

    def of(self, split: Split) -> int:
        """The number of images of a split."""
        return int(getattr(self, split))


class ChartsDrawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is drawn: square images of `image_size` px, of these types."""

    seed: Annotated[int, Meta(ge=0)]
    image_size: Annotated[int, Meta(ge=32, le=1024)]
    types: Annotated[tuple[ChartType, ...], Meta(min_length=2)]

    def __post_init__(self) -> None:
        if len(set(self.types)) < len(self.types):
            raise ValueError("types must differ from each other")


class ChartsProfile(GeneratedDataset, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The catalogue's profile of this dataset, with what the generator needs to know."""

    default_split: Split = "test"
    calibration_split: Split | None = "val"
    drawing: ChartsDrawing
    images: ChartCounts


class ChartImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One image: its type as an index of the file's classes, and what can be asked of it."""

    file_name: str
    label: Annotated[int, Meta(ge=0)]
    questions: tuple[Question, ...]


class ChartsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`charts.json` of a split."""

    version: Annotated[int, Meta(ge=FILE_VERSION, le=FILE_VERSION)]
    title: str
    seed: int
    classes: tuple[str, ...]
    images: tuple[ChartImage, ...]


def read_profile(path: Path) -> ChartsProfile:
    """Read a profile; raises `edgelab.schema.SchemaProblem` naming file, key and remedy."""
    return read_toml(path, ChartsProfile)


def read_file(split_folder: Path) -> ChartsFile:
    """What is known of the images of a split; raises SchemaProblem."""
    return read_json(split_folder / "charts.json", ChartsFile)


def read_charts(split_folder: Path, name: str, split: str) -> Dataset:
    """A drawn split as data for classification: each image holds one object, its type."""
    file = read_file(split_folder)
    images = split_folder / "images"
    samples = tuple(sample_inside(images, each.file_name, {each.label: 1}) for each in file.images)
    return Dataset(name, split, file.classes, samples)


def ensure_split(
    profile: ChartsProfile, split: Split, folder: Path, on_image: Progress | None = None
) -> Path:
    """The folder of a split, `folder/charts-<cache key>/<split>`, drawn first if it is not there.

    It holds `images/*.png` and `charts.json`. Raises OSError (for example when the disk is full)
    and then leaves nothing behind.
    """
    dataset = folder / f"{profile.generator}-{cache_key(profile)}"
    return ensure_whole(dataset / split, lambda part: _write_split(profile, split, part, on_image))


def cache_key(profile: ChartsProfile) -> str:
    """Twelve hexadecimal digits that differ wherever the images may."""
    content = msgspec.json.encode((GENERATOR_VERSION, profile.drawing, profile.images))
    return hashlib.sha256(content).hexdigest()[:12]


def _write_split(
    profile: ChartsProfile, split: Split, folder: Path, on_image: Progress | None
) -> None:
    with needs("charts", "drawing charts"):
        from runners.datasets.chart_drawing import draw_chart
    images: list[ChartImage] = []
    total = profile.images.of(split)
    (folder / "images").mkdir(parents=True)
    for index in range(total):
        drawing = profile.drawing
        label = index % len(drawing.types)
        seed = (drawing.seed, SPLITS.index(split), index)
        pixels, asked = draw_chart(drawing.types[label], drawing.image_size, seed)
        name = f"{index:06d}.png"
        write_png(folder / "images" / name, pixels)
        images.append(ChartImage(name, label, asked))
        if on_image is not None:
            on_image(index + 1, total)
    file = ChartsFile(
        version=FILE_VERSION,
        title=f"{profile.title}, {split} split",
        seed=profile.drawing.seed,
        classes=profile.drawing.types,
        images=tuple(images),
    )
    (folder / "charts.json").write_bytes(msgspec.json.encode(file))
