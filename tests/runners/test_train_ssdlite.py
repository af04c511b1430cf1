"""Training SSDLite: what it learns from, and a real, tiny training."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edgelab.catalogue import shipped_profiles
from edgelab.schema import SchemaProblem, read_json
from runners.datasets import shapes
from runners.datasets.shapes import ImageCounts
from runners.model_file import read_model
from runners.training.selection import Choice
from runners.training.spec import read_spec

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from runners.training import ssdlite  # noqa: E402  needs both

ROOT = Path(__file__).parents[2]

SPEC = """
schema_version = 1
name = "ssdlite320-tiny"
dataset = "shapes"
architecture = "ssdlite320_mobilenet_v3_large"
anchor_scales = [0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0]
epochs = 2
batch = 4
optimizer = "AdamW"
lr0 = 0.002
lrf = 0.01
schedule = "cosine"
weight_decay = 0.0005
warmup_epochs = 0.5
seed = 0
threads = 1

[augmentation]
flipud = 0.5
fliplr = 0.5
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shipped = shapes.read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    counts = ImageCounts(train=6, calibration=1, val=2, test=2)
    folder = tmp_path_factory.mktemp("dataset")
    for split in shapes.SPLITS:
        shapes.generate(replace(shipped, images=counts), split, folder)
    return folder


def write_spec(path: Path, text: str = SPEC) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "broken", "part"),
    [
        ("0.8, 1.0]", "0.8]", "anchor_scales"),
        ('"ssdlite320-tiny"', '"yolov8n-tiny"', "name = 'yolov8n-tiny'"),
        ("fliplr = 0.5", "mosaic = 0.5", "mosaic"),
    ],
)
def test_a_broken_spec_is_told(tmp_path: Path, line: str, broken: str, part: str) -> None:
    assert line in SPEC
    with pytest.raises(SchemaProblem, match=part):
        read_spec(write_spec(tmp_path / "broken.toml", SPEC.replace(line, broken)))


@pytest.mark.parametrize("vertical", [True, False])
def test_boxes_are_flipped_with_their_objects(dataset: Path, vertical: bool) -> None:
    """What is inside a box is the same afterwards, but mirrored."""
    examples = [each for each in ssdlite.read_examples(dataset / "train") if len(each.labels)]
    assert examples
    for example in examples:
        whole = ssdlite.Example(example.image, example.boxes.round(), example.labels)
        flipped = ssdlite.flip(whole, vertical=vertical)
        for before, after in zip(whole.boxes, flipped.boxes, strict=True):
            inside = crop(whole.image, before).flip(1 if vertical else 2)
            assert torch.equal(crop(flipped.image, after), inside)
        again = ssdlite.flip(flipped, vertical=vertical)
        assert torch.equal(again.boxes, whole.boxes)


def crop(image: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    left, top, right, bottom = box.int().tolist()
    assert right > left
    assert bottom > top
    return image[:, top:bottom, left:right]


def test_every_image_and_object_is_read(dataset: Path) -> None:
    examples = ssdlite.read_examples(dataset / "train")
    truth = ssdlite.count_objects(ssdlite.read_annotations(dataset / "train"))
    counts = [np.bincount(each.labels.numpy() - 1, minlength=5) for each in examples]
    np.testing.assert_array_equal(counts, truth)


def test_the_learning_rate_rises_and_falls(tmp_path: Path) -> None:
    spec = read_spec(write_spec(tmp_path / "spec.toml"))
    share = ssdlite.warm_cosine(spec, steps_per_epoch=100)
    assert share(0) == pytest.approx(1 / 50)
    assert share(49) == share(50) == 1
    assert share(125) == pytest.approx((1 + spec.lrf) / 2)
    assert share(199) == pytest.approx(spec.lrf, abs=1e-3)


def test_a_training_can_be_made_again(dataset: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "spec.toml")
    outputs = tmp_path / "first", tmp_path / "second"
    for output in outputs:
        command = [sys.executable, "-m", "runners.train_detector", str(spec)]
        options = ["--dataset-folder", str(dataset), "--output", str(output)]
        done = subprocess.run(
            command + options, check=False, capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
    first, second = outputs
    names = ["model.onnx", "model.toml", "results.csv", "selection.json", "training.log"]
    assert sorted(path.name for path in first.iterdir()) == names
    assert (first / "model.onnx").read_bytes() == (second / "model.onnx").read_bytes()
    with (first / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["class_loss"]) > 0 for row in rows)

    file = read_model(first / "model.onnx", "tiny", None)
    assert file.family.name == "ssdlite"
    assert file.metadata.class_names == ("circle", "triangle", "square", "pentagon", "star")
    choice = read_json(first / "selection.json", Choice)
    assert choice.chosen.mae_mean == min(trial.mae_mean for trial in choice.tried)
    for path in first.iterdir():
        for private in (str(Path.home()), str(tmp_path), str(dataset), "train-detector-"):
            assert private.encode() not in path.read_bytes()
