"""The model that is shipped: made by the spec beside it, and able to count."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path

import onnx
import pytest

from edgelab.catalogue import ModelProfile, shipped_profiles
from edgelab.schema import read_json, read_toml
from runners import train_detector
from runners.datasets import shapes
from runners.train_detector import Selection, TrainingSpec

MODEL = shipped_profiles() / "models" / "yolov8n-shapes"
SPEC = MODEL / "training.toml"

needs_train_extra = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="needs edgelab[train]"
)


def test_shipped_model_comes_from_the_shipped_spec() -> None:
    spec = read_toml(SPEC, TrainingSpec)
    log = (MODEL / "training.log").read_text(encoding="utf-8")
    assert str(spec) in log
    with (MODEL / "results.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == spec.epochs
    file_size = (MODEL / "model.onnx").stat().st_size
    assert file_size < 6_000_000
    assert f"model.onnx: {file_size} bytes" in log
    metadata = {p.key: p.value for p in onnx.load(MODEL / "model.onnx").metadata_props}
    assert metadata["imgsz"] == str([spec.imgsz, spec.imgsz])


def test_profile_carries_what_was_chosen_on_val() -> None:
    profile = read_toml(MODEL / "model.toml", ModelProfile)
    assert (MODEL / profile.file).is_file()
    assert profile.dataset == read_toml(SPEC, TrainingSpec).dataset
    chosen = read_json(MODEL / "selection.json", Selection).chosen
    assert (profile.iou, profile.threshold) == (chosen.nms_iou, chosen.threshold)


@needs_train_extra
def test_shipped_model_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of `selection.json` and the promise of the quick benchmark, measured anew."""
    monkeypatch.setattr(os, "environ", os.environ | {"YOLO_CONFIG_DIR": str(tmp_path)})
    spec = read_toml(SPEC, TrainingSpec)
    profile = shapes.read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    chosen = read_json(MODEL / "selection.json", Selection).chosen
    val = shapes.ensure_split(profile, "val", tmp_path)
    found = train_detector.predict(MODEL / "model.onnx", val, spec)
    assert found.count_mae(chosen.nms_iou, chosen.threshold) == pytest.approx(
        chosen.mae_mean, abs=0.01
    )
    test = shapes.ensure_split(profile, "test", tmp_path)
    found = train_detector.predict(MODEL / "model.onnx", test, spec)
    assert found.count_mae(chosen.nms_iou, threshold=0.5) <= 0.30
