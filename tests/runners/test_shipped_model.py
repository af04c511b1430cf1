"""The models that are shipped: made by the spec beside them, and able to count."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import onnx
import pytest

from edgelab.catalogue import ModelProfile, shipped_profiles
from edgelab.schema import read_json, read_toml
from runners.datasets import shapes
from runners.model_file import read_model
from runners.training.selection import Choice, predict
from runners.training.spec import read_spec

MODELS = shipped_profiles() / "models"

LARGEST = {"ssdlite320-shapes": 10_000_000, "yolov8n-shapes": 6_000_000}  # bytes
WORST = {
    "ssdlite320-shapes": 0.60,
    "yolov8n-shapes": 0.30,
}  # MAE on test, at the threshold chosen on val

shipped = pytest.mark.parametrize("name", sorted(LARGEST))


@shipped
def test_shipped_model_comes_from_the_shipped_spec(name: str) -> None:
    folder = MODELS / name
    spec = read_spec(folder / "training.toml")
    assert spec.name == name
    log = (folder / "training.log").read_text(encoding="utf-8")
    for field in msgspec.structs.fields(spec):
        assert f"{field.name}={getattr(spec, field.name)!r}" in log
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == spec.epochs
    file_size = (folder / "model.onnx").stat().st_size
    assert file_size < LARGEST[name]
    assert f"model.onnx: {file_size} bytes" in log
    metadata = {p.key: p.value for p in onnx.load(folder / "model.onnx").metadata_props}
    assert metadata["description"] == f"{spec.name}, trained on {spec.dataset}"


@shipped
def test_profile_carries_what_was_chosen_on_val(name: str) -> None:
    folder = MODELS / name
    profile = read_toml(folder / "model.toml", ModelProfile)
    assert read_model(folder / profile.file, name, None).family.name == profile.family
    assert profile.dataset == read_spec(folder / "training.toml").dataset
    chosen = read_json(folder / "selection.json", Choice).chosen
    assert (profile.iou, profile.threshold) == (chosen.nms_iou, chosen.threshold)


def test_shipped_models_count(tmp_path: Path) -> None:
    """The figures of `selection.json` and what the models promise, measured anew."""
    profile = shapes.read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    chosen = {name: read_json(MODELS / name / "selection.json", Choice).chosen for name in LARGEST}
    for split in ("val", "test"):
        data = shapes.ensure_split(profile, split, tmp_path)
        for name, choice in chosen.items():
            found = predict(MODELS / name / "model.onnx", data, threads=2)
            (error,) = found.count_mae(choice.nms_iou, [choice.threshold])
            assert error <= (choice.mae_mean + 0.01 if split == "val" else WORST[name]), name
