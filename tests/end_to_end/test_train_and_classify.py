"""A classifier from its training to its figures on a board: the real supervisor throughout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.conftest import CommandLine


def test_what_a_training_left_is_measured_without_torch(
    edgelab: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edgelab(
        "run", "train", "--model", "vit-tiny-3", "--dataset", "digits", "--image-size", "8",
        "--patch-size", "4", "--epochs", "1", "--limit", "60", "--batch", "20", "--no-pretrained",
        "--threads", "1", "--seed", "3",
    )  # fmt: skip
    trained = edgelab.json("show", "last")
    (told,) = trained["scores"]
    (model,) = [each for each in edgelab.json("models") if each["name"].startswith("vit-tiny-3-d")]
    assert model["task"] == "classify"
    converted = edgelab.json("convert", model["name"], "--precision", "int8", "--threads", "1")
    (report,) = converted["conversions"]
    assert "same answer" in edgelab("show", converted["run"])

    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "timm"):
        (blocked / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    monkeypatch.setenv("PYTHONPATH", str(blocked))
    edgelab(
        "run", "classify", "--model", model["name"], "--dataset", "digits", "--threads", "1",
        "--limit", "60", "--precision", "fp32", "--precision", "int8",
    )  # fmt: skip
    measured = edgelab.json("show", "last")
    assert measured["outcome"] == "finished", measured["reason"]
    fp32, _ = measured["scores"]
    # The same images, by the same input, on the same weights: the same answers.
    assert fp32["images"] == told["images"] == 60
    assert fp32["accuracy"]["value"] == pytest.approx(told["accuracy"]["value"])
    assert fp32["confusion"] == told["confusion"]
    int8 = measured["rows"][1]
    assert int8["model_sha256"] == report["sha256"], (
        "the converted file is the one that is measured"
    )
    assert int8["model_mb"] < 0.5 * measured["rows"][0]["model_mb"]
