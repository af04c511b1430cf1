"""Questions through the real command line and supervisor, to a model that needs no torch."""

from __future__ import annotations

import csv
import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from edgelab.records import Outcome
from tests.end_to_end.conftest import CommandLine, eventually, measuring, over
from tests.runners.asked_run import write_coloured_cells
from tests.runners.colour_detector import CLASSES, build_detector

MODELS = ("qwen2-vl-2b", "mobilevlm-v2-1.7b", "smolvlm-500m", "smolvlm-256m")
IMAGES = 3


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny SmolVLM as ONNX files, under the names of the published study's models."""
    from runners.smolvlm.export import export
    from tests.runners.tiny_smolvlm import build_smolvlm, says_digits

    root = tmp_path_factory.mktemp("models")
    checkpoint = says_digits(build_smolvlm(root / "torch"))
    for precision in ("fp32", "fp16", "int8"):
        export(checkpoint, root / MODELS[0], precision)
    for name in MODELS[1:]:
        (root / name).symlink_to(root / MODELS[0])
    return root


def ask(models: Path, folder: Path, *more: str) -> tuple[str, ...]:
    return (
        "run", "ask", "--model", str(models / "smolvlm-256m"), "--threads", "1",
        "--dataset", str(folder / "annotations.json"), "--images", str(folder / "images"),
        "--max-new-tokens", "2", *more,
    )  # fmt: skip


def test_killed_and_resumed_each_question_is_answered_once(
    edgelab: CommandLine, models: Path, tmp_path: Path
) -> None:
    write_coloured_cells(tmp_path, IMAGES)
    arguments = ask(models, tmp_path, "--repetitions", "25", "--precision", "int8")
    run = edgelab.json(*arguments, "--detach")["run"]
    live = edgelab.live(run)
    eventually(measuring(live, 5))
    os.kill(live.projection.runner_pid or 0, signal.SIGKILL)
    assert eventually(over(live)) is Outcome.KILLED
    result = edgelab.json("resume", run)
    assert result["outcome"] == "finished", result["reason"]
    edgelab("replay", run, "--speed", "1000")
    questions = IMAGES * len(CLASSES) * 25
    (row,) = edgelab.json("show", run)["rows"]
    assert row["questions"] == questions
    assert row["shared_encodings"] >= questions - IMAGES * 26
    assert row["images"] == IMAGES
    assert row["gt_count"] == sum(range(IMAGES))
    assert row["first_token_p90_ms"] >= row["first_token_p50_ms"] > 0
    assert row["tokens_per_s"] > 0
    assert row["answers_cut"] == questions
    assert row["mae_mean"] == pytest.approx(row["bias_mean"])
    items = list(csv.DictReader(io.StringIO(edgelab("export", run, "--csv", "-", "--items"))))
    places = [(item["repetition"], item["index"]) for item in items]
    assert len(places) == len(set(places)) == questions
    for item in items:
        assert item["question"].startswith("How many ")
        assert item["answer"] in ("33", "34", "43", "44")
        assert item["pred_count"] == item["answer"]
        assert 0 < float(item["first_token_ms"]) <= float(item["latency_ms"])


def test_the_published_study_beside_its_table_and_a_detector_on_the_same_images(
    edgelab: CommandLine, models: Path, tmp_path: Path
) -> None:
    data = write_coloured_cells(tmp_path, IMAGES)
    where = (
        "--dataset", str(data), "--images", str(tmp_path / "images"), "--threads", "1",
        "--limit", "2",
    )  # fmt: skip
    chosen = [part for name in MODELS for part in ("--model", str(models / name))]
    study = edgelab.json("study", "counting-vlm", *chosen, *where, "--set", "max_new_tokens=2")
    assert study["configurations"] == study["done"] == 12
    rows = {(Path(row["model"]).name, row["precision"]) for row in study["rows"]}
    assert rows == {(name, each) for name in MODELS for each in ("fp32", "fp16", "int8")}
    beside = edgelab.json("compare", f"study:{study['study']}", "reference:counting-vlm")
    assert len([row for row in beside["rows"] if _is_on_both_sides(row)]) == 12

    detector = build_detector(tmp_path / "colours.onnx")
    found = edgelab.json("run", "detect", "--model", str(detector), *where)
    asked = study["runs"][-1]["run"]
    told = edgelab("compare", found["run"], asked, "--pair", "colours=smolvlm-256m", "--paired")
    assert "2 images" in told
    assert "MAE" in told


def _is_on_both_sides(row: dict[str, Any]) -> bool:
    return row.get("mae_mean_a") is not None and row.get("mae_mean_b") is not None
