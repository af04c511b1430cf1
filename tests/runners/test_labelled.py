"""Labelled images from every source, split without leaks; what is wrong is named."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.naming import dataset_named
from edgelab.problem import Problem
from edgelab.settings.detect import DetectSettings
from runners.datasets.labelled import FEWEST, SPLITS, Labelled, Picture, Splits, make_splits
from runners.datasets.labelled_sources import open_labelled
from runners.datasets.source import open_source
from runners.images import Pixels
from runners.learning.pictures import read_pictures
from tests.runners.finetuning.conftest import CHARTS


def write_image(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (9, 7, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def class_folders(root: Path, counts: dict[str, int], start: int = 0) -> Path:
    number = start
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            number += 1
            write_image(root / name / f"{index}.png", number)
    return root


def opened(path: Path | str, images: Path | None = None) -> Labelled:
    home = Home(Path("/nowhere"))
    where = str(images) if images else None
    return open_labelled(str(path), where, Catalogue(home), home, lambda *_: None)


def split(path: Path | str, **options: object) -> Splits:
    chosen = {"val_share": 0.2, "test_share": 0.2, "seed": 0, **options}
    return make_splits(opened(path), **chosen)  # type: ignore[arg-type]


def picture(content: int, label: int) -> Picture:
    def read() -> Pixels:
        return np.zeros((1, 1, 3), np.uint8)

    return Picture(f"{label}/{content}", label, read, lambda: bytes([content]))


@given(
    contents=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), min_size=1),
    seed=st.integers(0, 9),
)
def test_splits_share_no_content_and_lose_no_picture(
    contents: list[tuple[int, int]], seed: int
) -> None:
    pictures = tuple(picture(60 * label + content, label) for content, label in contents)
    data = Labelled("d", ("a", "b", "c"), {None: pictures})
    if any(len({c for c, k in contents if k == label}) < FEWEST for label in range(3)):
        with pytest.raises(Problem, match="class"):
            make_splits(data, 0.2, 0.2, seed)
        return
    splits = make_splits(data, 0.2, 0.2, seed)
    found = {name: {each.digest() for each in splits.of(name)} for name in SPLITS}
    assert not found["train"] & found["val"]
    assert not found["train"] & found["test"]
    assert not found["val"] & found["test"]
    assert sum(len(splits.of(name)) for name in SPLITS) == len(pictures)
    assert splits == make_splits(data, 0.2, 0.2, seed)


def test_each_class_is_cut_alike(tmp_path: Path) -> None:
    splits = split(class_folders(tmp_path, {"cat": 20, "dog": 10}))
    assert splits.classes == ("cat", "dog")
    assert [splits.by_class(name) for name in SPLITS] == [(12, 6), (4, 2), (4, 2)]
    assert split(tmp_path, seed=1).train != splits.train


def test_a_limit_leaves_no_class_out(tmp_path: Path) -> None:
    splits = split(class_folders(tmp_path, {"cat": 20, "dog": 10}), limit=3)
    assert splits.by_class("train") == (2, 1)


def test_given_splits_are_kept_and_learn_from_nothing_that_is_held_out(tmp_path: Path) -> None:
    for number, name in enumerate(SPLITS):
        class_folders(tmp_path / name, {"cat": 3, "dog": 3}, start=100 * number)
    leaked = tmp_path / "test" / "cat" / "0.png"
    leaked.write_bytes((tmp_path / "train" / "cat" / "1.png").read_bytes())
    splits = split(tmp_path)
    assert splits.by_class("test") == (3, 3)
    assert splits.by_class("train") == (2, 3)
    (warning,) = splits.warnings
    assert warning.startswith("1 images of train are also held out, byte by byte, such as cat/1")


def test_csv(tmp_path: Path) -> None:
    lines = ["image,label"]
    for index in range(12):
        write_image(tmp_path / "pics" / f"{index}.png", index)
        lines.append(f"pics/{index}.png,{'odd' if index % 2 else 'even'}")
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(lines))
    splits = split(file)
    assert splits.classes == ("even", "odd")
    assert splits.train[0].read().shape == (9, 7, 3)


def test_csv_by_name(home: Home, tmp_path: Path) -> None:
    """A profile is what `edgelab datasets add` leaves."""
    write_image(tmp_path / "0.png", 0)
    (tmp_path / "labels.csv").write_text("image,label\n0.png,even\n")
    profile = home.profiles / "datasets" / "mine.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(
        f'schema_version = 1\nkind = "local"\ntitle = "Mine"\npath = "{tmp_path}/labels.csv"\n'
    )
    data = open_labelled("mine", None, Catalogue(home), home, lambda *_: None)
    assert (data.classes, len(data.pictures[None])) == (("even",), 1)


def test_coco_objects_are_cut_out(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png", 1)
    boxes = [[x, y, 2, 3] for x in range(4) for y in range(3)]
    coco = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 5, "name": "x"}, {"id": 7, "name": "y"}, {"id": 9, "name": "none"}],
        "annotations": [
            {"image_id": 1, "category_id": 5 + 2 * (i % 2), "bbox": box}
            for i, box in enumerate(boxes)
        ],
    }
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps(coco))
    splits = split(file)
    assert splits.classes == ("x", "y")
    assert all(each.read().shape == (3, 2, 3) for each in splits.train)
    assert splits.warnings == ("without any object, left out: none",)


def write_idx(folder: Path, prefix: str, images: np.ndarray, labels: np.ndarray) -> None:
    head = struct.pack(">4I", 2051, *images.shape)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(head + images.tobytes())
    data = struct.pack(">2I", 2049, len(labels)) + labels.tobytes()
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(data))


def test_idx_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 20), ("t10k", 6)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        write_idx(tmp_path, prefix, rng.integers(0, 256, (count, 8, 8), np.uint8), labels)
    splits = split(tmp_path)
    assert [splits.by_class(name) for name in SPLITS] == [(8, 8), (2, 2), (3, 3)]
    assert splits.test[0].read().shape == (8, 8, 3)


def test_digits_come_with_scikit_learn() -> None:
    splits = split("digits")
    assert splits.classes == tuple("0123456789")
    assert sum(len(splits.of(name)) for name in SPLITS) == 1797
    assert not splits.warnings


def test_parquet_of_the_hub(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = []
    for index in range(12):
        _, png = cv2.imencode(".png", np.full((4, 4, 3), 20 * index, np.uint8))
        rows.append({"image": {"bytes": png.tobytes(), "path": None}, "label": index % 2})
    features = {"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    table = pa.Table.from_pylist(rows).replace_schema_metadata(
        {"huggingface": json.dumps(features)}
    )
    parquet.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    splits = split(tmp_path)
    assert splits.classes == ("no", "yes")
    assert splits.train[0].read().shape == (4, 4, 3)


# What is wrong --------------------------------------------------------------------------------


def one_class(root: Path) -> Path:
    return class_folders(root, {"cat": 5})


def empty_class(root: Path) -> Path:
    return class_folders(root, {"cat": 5, "dog": 0})


def two_dogs(root: Path) -> Path:
    return class_folders(root, {"cat": 5, "dog": 2})


def unknown_class(root: Path) -> Path:
    class_folders(root / "train", {"cat": 3, "dog": 3})
    class_folders(root / "test", {"cat": 3, "fox": 3})
    return root


def no_label(root: Path) -> Path:
    (root / "l.csv").write_text("image,label\na.png,\n")
    return root / "l.csv"


def no_column(root: Path) -> Path:
    (root / "l.csv").write_text("image,class\na.png,x\n")
    return root / "l.csv"


def wrong_split(root: Path) -> Path:
    (root / "l.csv").write_text("image,label,split\na.png,x,training\n")
    return root / "l.csv"


def hostile(root: Path) -> Path:
    (root / "l.csv").write_text("image,label\n../../etc/passwd,x\n")
    return root / "l.csv"


def endless_label(root: Path) -> Path:
    (root / "l.csv").write_text(f"image,label\na.png,{'x' * 200_000}\n")
    return root / "l.csv"


def fewer_labels(root: Path) -> Path:
    images = np.zeros((4, 2, 2), np.uint8)
    write_idx(root, "train", images, np.zeros(3, np.uint8))
    return root


def torn_idx(root: Path) -> Path:
    images = np.zeros((4, 2, 2), np.uint8)
    write_idx(root, "train", images, np.zeros(4, np.uint8))
    file = root / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    return root


def shapes_like(root: Path) -> Path:
    return root / "nothing.txt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_class, "one class only (cat)"),
        (empty_class, "no image of the class 'dog'"),
        (two_dogs, "2 different images of the class 'dog': at least 3"),
        (unknown_class, "fox: no such class in train"),
        (no_label, "line 2: label is empty"),
        (no_column, "no column 'label'"),
        (wrong_split, "line 2: split = 'training'"),
        (endless_label, "l.csv: line 2: field larger than field limit"),
        (hostile, "leads out of the image folder"),
        (fewer_labels, "4 images, but 3 labels"),
        (torn_idx, "15 bytes of data, its header says [4, 2, 2]"),
        (shapes_like, "neither a dataset of the catalogue nor 'digits'"),
    ],
)
def test_what_is_wrong_is_named(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(Problem) as raised:
        split(make(tmp_path))
    assert message in str(raised.value)


def test_digits_are_a_name_everywhere_and_told_where_objects_are_needed(home: Home) -> None:
    assert dataset_named("digits", Catalogue(home)) == "digits"
    settings = DetectSettings(model="yolov8n-shapes", dataset="digits")
    with pytest.raises(Problem, match="a class an image, no objects: train, classify"):
        open_source(settings, Catalogue(home), home, lambda *_: None)


def test_one_corrupt_image_is_named_and_left_out(tmp_path: Path) -> None:
    splits = split(class_folders(tmp_path, {"cat": 9, "dog": 9}))
    broken = splits.train[2]
    (tmp_path / broken.name).write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    told: list[str] = []
    pictures = read_pictures("train", splits.train, 8, lambda _: None, told.append)
    assert len(pictures) == len(splits.train) - 1
    assert broken.name not in pictures.names
    (warning,) = told
    assert warning.startswith(f"train: 1 of 10 images cannot be read: {broken.name}: ")


def test_pictures_beyond_the_memory_are_read_again(tmp_path: Path) -> None:
    splits = split(class_folders(tmp_path, {"cat": 9, "dog": 9}))
    whole = read_pictures("train", splits.train, 8, lambda _: None, print)
    scarce = read_pictures("train", splits.train, 8, lambda _: None, print, memory=2 * 8 * 8 * 3)
    for index in range(len(whole)):
        assert np.array_equal(whole.pixels(index), scarce.pixels(index))


def test_of_a_dataset_by_name_only_the_splits_asked_for_are_drawn(home: Home) -> None:
    (home.profiles / "datasets").mkdir(parents=True)
    (home.profiles / "datasets" / "few-charts.toml").write_text(CHARTS)
    drawn: list[str] = []

    data = open_labelled(
        "few-charts", None, Catalogue(home), home, lambda split, *_: drawn.append(split), ("test",)
    )

    assert data.pictures.keys() == {"test"}
    assert set(drawn) == {"test"}
    assert data.classes == ("bar", "pie")
