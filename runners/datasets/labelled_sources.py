"""From the name a person gave to labelled images: folders, CSV, COCO, IDX, parquet, digits."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgelab.catalogue import DIGITS, Catalogue, DatasetProfile, Entry, LocalDataset
from edgelab.home import Home
from edgelab.problem import Problem
from runners.datasets.dataset import Dataset, Sample, sample_inside
from runners.datasets.folder import images_in
from runners.datasets.labelled import SPLITS, Labelled, Picture, picture_at, picture_of
from runners.datasets.labels_csv import read_csv
from runners.datasets.source import OnImage, open_named
from runners.extras import needs
from runners.images import ImageProblem, Pixels, decode_image, read_image

_IDX_IMAGES, _IDX_LABELS = 2051, 2049
_IDX_FILES = {"train": "train", "test": "t10k"}


def open_labelled(
    dataset: str,
    images: str | None,
    catalogue: Catalogue,
    home: Home,
    on_image: OnImage,
    splits: Sequence[str] = SPLITS,
) -> Labelled:
    """Find the labelled images that `dataset` names. Raises Problem where there are none.

    `splits`: of a dataset by name, only these are made; drawing one nobody reads takes minutes.
    """
    if dataset == DIGITS:
        return read_digits()
    entry = catalogue.dataset(dataset)
    if entry is not None:
        if (table := _table_of(entry)) is not None:
            return read_csv(table)
        source = open_named(entry, home, on_image)
        return _of_splits(dataset, {split: source.read(split) for split in splits})
    path = Path(dataset).expanduser()
    if path.is_dir():
        return _read_folder(path)
    if path.suffix.lower() == ".csv":
        return read_csv(path)
    if path.suffix.lower() == ".json":
        return read_crops(path, Path(images).expanduser() if images else path.parent / "images")
    raise Problem(
        f"{dataset}: neither a dataset of the catalogue nor {DIGITS!r}, nor a folder, a .csv or a "
        "COCO .json"
    )


def _table_of(entry: Entry[DatasetProfile]) -> Path | None:
    """The .csv behind a name, whose images have one class each."""
    profile = entry.require()
    if isinstance(profile, LocalDataset) and profile.path.lower().endswith(".csv"):
        return entry.path.parent / Path(profile.path).expanduser()
    return None


def _read_folder(path: Path) -> Labelled:
    if any(path.glob("*-ubyte*")):
        return read_idx(path)
    if any(path.rglob("*.parquet")):
        return read_parquet(path)
    return read_class_folders(path)


# Folders --------------------------------------------------------------------------------------


def read_class_folders(path: Path) -> Labelled:
    """A folder a class, or `train`, `val`, `test` with a folder a class in each."""
    given = [split for split in SPLITS if (path / split).is_dir()]
    if not given:
        classes = _class_names(path)
        return Labelled(path.name, classes, {None: _pictures_of(path, classes)})
    classes = _class_names(path / given[0])
    for split in given[1:]:
        if surplus := set(_class_names(path / split)) - set(classes):
            raise Problem(f"{path / split / min(surplus)}: no such class in {given[0]}")
    return Labelled(
        path.name, classes, {split: _pictures_of(path / split, classes) for split in given}
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    names = sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    if not names:
        raise Problem(f"{folder}: expected a folder a class in it, found none")
    return tuple(names)


def _pictures_of(folder: Path, classes: tuple[str, ...]) -> tuple[Picture, ...]:
    return tuple(
        picture_at(path, f"{name}/{path.relative_to(folder / name)}", label)
        for label, name in enumerate(classes)
        if (folder / name).is_dir()
        for path in images_in(folder / name)
    )


def _of_splits(name: str, splits: dict[str, Dataset]) -> Labelled:
    """Datasets of the catalogue: each image must hold exactly one object, its class."""
    pictures: dict[str | None, tuple[Picture, ...]] = {
        split: tuple(_of_sample(name, sample) for sample in data.samples)
        for split, data in splits.items()
    }
    return Labelled(name, next(iter(splits.values())).classes, pictures)


def _of_sample(name: str, sample: Sample) -> Picture:
    truth = sample.truth or {}
    if sum(truth.values()) != 1:
        found = f"{sum(truth.values())} objects" if sample.truth is not None else "no annotation"
        raise Problem(
            f"{name}: {sample.name} has {found}: for classification each image has one class"
        )
    label = next(label for label, count in truth.items() if count)
    return picture_of(sample, label)


# COCO -----------------------------------------------------------------------------------------


class _Image(msgspec.Struct, frozen=True):
    id: int | str
    file_name: str


class _Annotation(msgspec.Struct, frozen=True):
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Category(msgspec.Struct, frozen=True):
    id: int | str
    name: str


class _File(msgspec.Struct, frozen=True):
    images: tuple[_Image, ...]
    annotations: tuple[_Annotation, ...]
    categories: tuple[_Category, ...]


def read_crops(path: Path, images: Path) -> Labelled:
    """Each object of a COCO file that is no crowd, cut out by its box: a picture of its category.

    Categories without any object are left out, and said.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise Problem(f"{path}: cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: not a COCO file: {error}") from None
    objects = [each for each in file.annotations if not each.iscrowd]
    used = {each.category_id for each in objects}
    categories = [each for each in file.categories if each.id in used]
    label_of = {each.id: label for label, each in enumerate(categories)}
    name_of = {each.id: each.file_name for each in file.images}
    pictures = []
    for number, each in enumerate(objects):
        if each.image_id not in name_of or each.category_id not in label_of:
            raise Problem(f"{path}: annotations: object {number} names an image or a class that "
                          "the file does not have")  # fmt: skip
        sample = sample_inside(images, name_of[each.image_id])
        name = f"{sample.name}#{number}"
        read = partial(_crop, sample.path, sample.problem, each.bbox)
        pictures.append(Picture(name, label_of[each.category_id], read, partial(_packed, read)))
    unused = [each.name for each in file.categories if each.id not in used]
    warnings = (f"without any object, left out: {', '.join(unused)}",) if unused else ()
    classes = tuple(each.name for each in categories)
    return Labelled(path.stem, classes, {None: tuple(pictures)}, warnings)


def _crop(path: Path | None, problem: str | None, box: tuple[float, float, float, float]) -> Pixels:
    if path is None:
        raise ImageProblem(problem or "no such image")
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(width, round(box[0] + box[2])), min(height, round(box[1] + box[3]))
    if right <= left or bottom <= top:
        raise ImageProblem(f"the box {list(box)} lies outside the image")
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _packed(read: Callable[[], Pixels]) -> bytes | None:
    try:
        pixels = read()
    except ImageProblem:
        return None
    return repr(pixels.shape).encode() + pixels.tobytes()


# Arrays ---------------------------------------------------------------------------------------


def read_idx(folder: Path) -> Labelled:
    """The four files of MNIST (http://yann.lecun.com/exdb/mnist), plain or gzipped.

    Grey images and labels of one byte each; only train and t10k exist, val is cut out of train.
    """
    pictures: dict[str | None, tuple[Picture, ...]] = {}
    highest = 0
    for split, prefix in _IDX_FILES.items():
        images = _idx(_find(folder, f"{prefix}-images-idx3-ubyte"), _IDX_IMAGES)
        labels = _idx(_find(folder, f"{prefix}-labels-idx1-ubyte"), _IDX_LABELS)
        if len(images) != len(labels):
            raise Problem(
                f"{folder}: {prefix}: {len(images)} images, but {len(labels)} labels: expected as "
                "many"
            )
        highest = max(highest, int(labels.max(initial=0)))
        pictures[split] = _of_arrays(images, labels, split)
    return Labelled(folder.name, tuple(str(digit) for digit in range(highest + 1)), pictures)


def read_digits() -> Labelled:
    """scikit-learn's digits: no file, no network."""
    with needs("train", "the data set digits"):
        from sklearn.datasets import load_digits
    bunch = load_digits()
    images = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    classes = tuple(str(digit) for digit in range(10))
    return Labelled(DIGITS, classes, {None: _of_arrays(images, bunch.target, DIGITS)})


def _of_arrays(
    images: NDArray[np.uint8], labels: NDArray[np.integer], name: str
) -> tuple[Picture, ...]:
    def read(index: int) -> Pixels:
        return cv2.cvtColor(images[index], cv2.COLOR_GRAY2BGR)  # type: ignore[no-any-return]

    return tuple(
        Picture(f"{name}-{index}", int(label), partial(read, index), images[index].tobytes)
        for index, label in enumerate(labels)
    )


def _find(folder: Path, name: str) -> Path:
    # Some copies of MNIST write a dot for the first hyphen of idx.
    for stem in (name, name.replace("-idx", ".idx")):
        for path in (folder / stem, folder / f"{stem}.gz"):
            if path.is_file():
                return path
    raise Problem(f"{folder / name}: no such file, nor one ending in .gz")


def _idx(path: Path, magic: int) -> NDArray[np.uint8]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise Problem(f"{path}: cannot be read ({error})") from None
    dimensions = magic & 0xFF
    size = 4 * (1 + dimensions)
    if len(data) < size:
        raise Problem(f"{path}: {len(data)} bytes, too short for an IDX file")
    found, *shape = struct.unpack(f">{1 + dimensions}I", data[:size])
    if found != magic:
        raise Problem(f"{path}: begins with {found}, expected {magic}")
    if len(data) - size != int(np.prod(shape)):
        raise Problem(f"{path}: {len(data) - size} bytes of data, its header says {shape}")
    return np.frombuffer(data, np.uint8, offset=size).reshape(shape)


# Hub ------------------------------------------------------------------------------------------


def read_parquet(folder: Path) -> Labelled:
    """A local copy of a hub data set: *.parquet with `image` (its `bytes`) and `label` (a number).

    Splits are known by file names: `train-...`, `validation-...`, `test-...`, as the hub writes
    them. Class names come from the features that the hub keeps in the files' metadata.
    """
    with needs("train", "reading parquet files"):
        import pyarrow.parquet as parquet
    pictures: dict[str | None, list[Picture]] = {}
    names: tuple[str, ...] = ()
    highest = -1
    for path in sorted(folder.rglob("*.parquet")):
        table = parquet.read_table(path)
        if missing := {"image", "label"} - set(table.column_names):
            raise Problem(f"{path}: no column {min(missing)!r}: expected image and label")
        names = names or _hub_names(table.schema.metadata or {})
        split = _hub_split(path)
        for row, (image, label) in enumerate(
            zip(table["image"].to_pylist(), table["label"].to_pylist(), strict=True)
        ):
            data = (image or {}).get("bytes") or b""
            if not isinstance(label, int) or label < 0:
                raise Problem(f"{path}: row {row}: label = {label!r}: expected 0 or more")
            highest = max(highest, label)
            name = f"{path.stem}-{row}"
            picture = Picture(name, label, partial(decode_image, data), partial(bytes, data))
            pictures.setdefault(split, []).append(picture)
    classes = names or tuple(f"class {index}" for index in range(highest + 1))
    if highest >= len(classes):
        raise Problem(f"{folder}: label {highest}, but only {len(classes)} classes are named")
    if list(pictures) in (["train"], [None]):
        pictures = {None: [each for part in pictures.values() for each in part]}
    return Labelled(folder.name, classes, {key: tuple(each) for key, each in pictures.items()})


def _hub_split(path: Path) -> str | None:
    stem = path.stem.partition("-")[0].lower()
    known = {"validation": "val", "valid": "val", **{split: split for split in SPLITS}}
    return known.get(stem, known.get(path.parent.name.lower(), "train"))


class _HubFeature(msgspec.Struct, frozen=True):
    names: tuple[str, ...] = ()


class _HubInfo(msgspec.Struct, frozen=True):
    features: dict[str, _HubFeature] = {}


class _HubMetadata(msgspec.Struct, frozen=True):
    info: _HubInfo = _HubInfo()


def _hub_names(metadata: dict[bytes, bytes]) -> tuple[str, ...]:
    try:
        info = msgspec.json.decode(metadata.get(b"huggingface", b"{}"), type=_HubMetadata)
    except msgspec.DecodeError:
        return ()
    return info.info.features.get("label", _HubFeature()).names
