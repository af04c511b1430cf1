"""The training program: its spec, what it hands to ultralytics, and a real, tiny training."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from msgspec.structs import replace

from edgelab.catalogue import DetectorProfile, shipped_profiles
from edgelab.schema import SchemaProblem, read_toml
from runners import train_detector
from runners.datasets import shapes
from runners.datasets.shapes import CocoAnnotation, CocoCategory, CocoFile, CocoImage, ImageCounts
from runners.training.selection import Choice
from runners.training.spec import YoloTraining, read_spec
from runners.training.truth import count_objects, read_annotations
from runners.training.yolo_dataset import write_yolo_dataset, yolo_label

MODEL = shipped_profiles() / "models" / "yolov8n-shapes"
SPEC = MODEL / "training.toml"

needs_train_extra = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="needs edgelab[train]"
)


@pytest.fixture(scope="module")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shipped = shapes.read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    counts = ImageCounts(train=8, calibration=1, val=4, test=4)
    scene = replace(shipped.scene, image_size=64, object_size=(14, 24))
    folder = tmp_path_factory.mktemp("dataset")
    for split in shapes.SPLITS:
        shapes.generate(replace(shipped, scene=scene, images=counts), split, folder)
    return folder


def test_shipped_spec_is_read() -> None:
    spec = read_spec(SPEC)
    assert spec.name == MODEL.name
    assert (shipped_profiles() / "datasets" / f"{spec.dataset}.toml").is_file()


@pytest.mark.parametrize(
    ("line", "broken", "parts"),
    [
        ("imgsz = 192", "imgsz = 200", ["imgsz = 200", "multiple of 32"]),
        ("imgsz = 192", 'imgsz = "192"', ["imgsz = '192'", "expected `int`"]),
        ("epochs = 80", "epochs = 0", ["epochs = 0", ">= 1"]),
        ("epochs = 80", "", ["missing required field `epochs`"]),
        ("seed = 0", "seeds = 0", ["unknown field `seeds`"]),
        ('"AdamW"', '"Adam"', ["optimizer = 'Adam'"]),
        ('"yolov8"', '"yolov5"', ["architecture = 'yolov5'"]),
        ('"yolov8n-shapes"', '"yolov8-shapes"', ["name = 'yolov8-shapes'", "yolov8n-"]),
        ("fliplr = 0.5", "fliplr = 1.5", ["augmentation.fliplr = 1.5", "<= 1"]),
        ("schema_version = 1", "schema_version = 9", ["schema_version = 9"]),
    ],
)
def test_a_broken_spec_names_file_key_and_remedy(
    tmp_path: Path, line: str, broken: str, parts: list[str]
) -> None:
    text = SPEC.read_text(encoding="utf-8")
    assert line in text
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(line, broken, 1), encoding="utf-8")
    with pytest.raises(SchemaProblem) as caught:
        read_spec(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_a_label_is_class_and_box_as_shares() -> None:
    image = CocoImage(id=7, file_name="a.png", width=200, height=100)
    item = CocoAnnotation(1, 7, 3, bbox=(50.0, 20.0, 100.0, 40.0), area=4000.0, iscrowd=0)
    label = yolo_label(item, image, class_index=2)
    assert label == "2 0.500000 0.400000 0.500000 0.400000"


def test_objects_are_counted_by_image_and_class() -> None:
    coco = CocoFile(
        info={},
        licenses=[],
        images=[CocoImage(number, f"{number}.png", 10, 10) for number in (30, 10, 20)],
        annotations=[
            CocoAnnotation(number, image, category, (0.0, 0.0, 5.0, 5.0), 25.0, 0)
            for number, (image, category) in enumerate([(10, 8), (10, 8), (10, 5), (20, 5)])
        ],
        categories=[CocoCategory(8, "star"), CocoCategory(5, "circle")],
    )
    assert count_objects(coco).tolist() == [[0, 0], [2, 1], [0, 1]]


def test_yolo_dataset_holds_every_image_and_object(tiny_dataset: Path, tmp_path: Path) -> None:
    content = msgspec.json.decode(write_yolo_dataset(tiny_dataset, tmp_path).read_bytes())
    assert list(content["names"].values()) == ["circle", "triangle", "square", "pentagon", "star"]
    for split in ("train", "val"):
        coco = read_annotations(tiny_dataset / split)
        truth = count_objects(coco)
        folder = tmp_path / content[split]
        for entry, counts in zip(coco.images, truth, strict=True):
            assert (folder / entry.file_name).is_file()
            label_file = folder.parent / "labels" / Path(entry.file_name).with_suffix(".txt")
            lines = label_file.read_text(encoding="utf-8").splitlines()
            classes = [int(line.split()[0]) for line in lines]
            assert np.bincount(classes, minlength=5).tolist() == counts.tolist()
    assert not list(tiny_dataset.rglob("*.txt"))


def test_a_missing_extra_is_one_clear_line(
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.delitem(sys.modules, train_detector.TRAINERS[YoloTraining], raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)  # the import system's "not there"
    options = ["--dataset-folder", str(tiny_dataset), "--output", str(tmp_path / "out")]
    assert train_detector.main([str(SPEC), *options]) == 2
    message = capsys.readouterr().err
    assert message == "training needs torch, which is not installed: pip install 'edgelab[train]'\n"
    assert not (tmp_path / "out").exists()


def test_a_missing_split_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--dataset-folder", str(tmp_path), "--output", str(tmp_path / "out")]
    assert train_detector.main([str(SPEC), *options]) == 2
    assert f"{tmp_path / 'train' / 'annotations.json'}: cannot be" in capsys.readouterr().err


def tiny_training(dataset: Path, output: Path) -> None:
    text = SPEC.read_text(encoding="utf-8")
    for line, small in (("imgsz = 192", "imgsz = 64"), ("epochs = 80", "epochs = 2")):
        assert line in text
        text = text.replace(line, small)
    spec = output.with_suffix(".toml")
    spec.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "runners.train_detector", str(spec)]
    options = ["--dataset-folder", str(dataset), "--output", str(output)]
    done = subprocess.run(
        command + options, check=False, capture_output=True, text=True, cwd=MODEL.parents[2]
    )
    assert done.returncode == 0, done.stderr


@needs_train_extra
def test_a_training_can_be_made_again(tiny_dataset: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "first", tmp_path / "second"
    for output in outputs:
        tiny_training(tiny_dataset, output)
    first, second = outputs
    names = ["model.onnx", "model.toml", "results.csv", "selection.json", "training.log"]
    assert sorted(path.name for path in first.iterdir()) == names
    assert (first / "model.onnx").read_bytes() == (second / "model.onnx").read_bytes()

    model = onnx.load(first / "model.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["names"].startswith("{0: 'circle', 1: 'triangle'")
    assert (metadata["imgsz"], metadata["stride"]) == ("[64, 64]", "32")
    (head,) = model.graph.output
    assert [axis.dim_value for axis in head.type.tensor_type.shape.dim] == [1, 4 + 5, 84]

    selection = msgspec.json.decode((first / "selection.json").read_bytes(), type=Choice)
    assert selection.split == "val"
    assert selection.chosen.mae_mean == min(row.mae_mean for row in selection.tried)
    profile = read_toml(first / "model.toml", DetectorProfile)
    assert (profile.family, profile.file, profile.dataset) == ("yolo", "model.onnx", "shapes")
    assert (profile.iou, profile.threshold) == msgspec.structs.astuple(selection.chosen)[:2]
    for path in first.iterdir():
        for private in (str(Path.home()), str(tmp_path), str(tiny_dataset), "train-detector-"):
            assert private.encode() not in path.read_bytes()
