"""Questions through the real command line and supervisor, to a model that needs no torch."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from edgelab.executed import ExecutedPrecision
from edgelab.records import Outcome
from edgelab.words import megabytes
from tests.end_to_end.conftest import (
    CommandLine,
    board_without_torch,
    end_supervisor,
    eventually,
    measuring,
    over,
)
from tests.runners.colour_detector import CLASSES, build_detector, write_coloured_cells

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


def ask(model: Path, folder: Path, *more: str) -> tuple[str, ...]:
    return (
        "run", "ask", "--model", str(model), "--threads", "1",
        "--dataset", str(folder / "annotations.json"), "--images", str(folder / "images"),
        "--max-new-tokens", "2", *more,
    )  # fmt: skip


def test_killed_and_resumed_each_question_is_answered_once(
    edgelab: CommandLine, models: Path, tmp_path: Path
) -> None:
    write_coloured_cells(tmp_path, IMAGES)
    arguments = ask(models / "smolvlm-256m", tmp_path, "--repetitions", "25", "--precision", "int8")
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
    items = _items(edgelab, run)
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


def test_a_checkpoint_is_converted_and_asked_by_name_on_a_board_without_torch(
    edgelab: CommandLine, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_coloured_cells(tmp_path, IMAGES)
    made = edgelab.json(
        "convert", str(models / "torch"), "--precision", "int8", "q4", "--name", "tiny",
        "--threads", "1",
    )  # fmt: skip
    assert made["outcome"] == "finished", made["reason"]
    assert [each["precision"] for each in made["conversions"]] == ["int8", "q4"]
    for each in made["conversions"]:
        assert each["tokens"]["tokens"] == 2 * 2 * 8  # it never ends an answer by itself
    rows = list(csv.DictReader(Path(made["csv"]).read_text().splitlines()))
    assert [row["tokens"] for row in rows] == ["32", "32"]
    assert "same token" in edgelab("show", made["run"])

    board = board_without_torch(tmp_path, monkeypatch)
    shutil.copytree(edgelab.home.profiles, board.home.profiles)
    command = ask(
        models / "smolvlm-256m",
        tmp_path,
        "--limit",
        "1",
        "--precision",
        "int8",
        "--precision",
        "q4",
    )
    try:
        ran = board.json(*command[:3], "tiny", *command[4:])
    finally:
        end_supervisor(board.home)
    assert ran["outcome"] == "finished", ran["reason"]
    assert [row["model"] for row in ran["rows"]] == ["tiny", "tiny"]
    for row, report in zip(ran["rows"], made["conversions"], strict=True):
        assert row["model_sha256"] == report["sha256"]
        assert row["executed"] == _words(report["executed"])
    # What it took is what the next one is expected to take, and both stand side by side.
    (tiny,) = (each for each in board.json("models") if each["name"] == "tiny")
    for row in ran["rows"]:
        forecast, measured = row["forecast_memory_mb"], row["peak_memory_mb"]
        learned = tiny["fits"][row["precision"]]  # of longer answers: not the same, but alike
        assert learned["source"].endswith("corrected by 1 earlier pass")
        assert abs(learned["peak_bytes"] / (1e6 * measured) - 1) < 0.02
        off = f"{100 * (measured / forecast - 1):+.0f} %"
        assert f"measured {megabytes(round(1e6 * measured))} MB, {off}" in board("show", ran["run"])


def _words(executed: dict[str, Any]) -> str:
    return msgspec.convert(executed, ExecutedPrecision).words


# Each pass is a process that imports torch, which takes most of this test's time.
ON_CURRENT_FILES, ON_OLDER_FILES = ("fp32", "bf16", "int8-dynamic"), ("fp16", "int8", "nf4")


@pytest.mark.parametrize("family", ["smolvlm", "qwen2-vl", "qwen2.5-vl", "paligemma", "mobilevlm"])
def test_every_family_is_asked_with_torch_in_every_precision_and_both_file_layouts(
    edgelab: CommandLine, tmp_path: Path, family: str
) -> None:
    write_coloured_cells(tmp_path, 1)
    for folder, precisions in zip(
        _in_both_layouts(family, tmp_path / family), (ON_CURRENT_FILES, ON_OLDER_FILES), strict=True
    ):
        chosen = [part for precision in precisions for part in ("--precision", precision)]
        ran = edgelab.json(*ask(folder, tmp_path, *chosen))
        assert ran["outcome"] == "finished", ran["reason"]
        assert [row["precision"] for row in ran["rows"]] == list(precisions)
        for row in ran["rows"]:
            assert (row["images"], row["questions"], row["errors"]) == (1, len(CLASSES), 0)
            assert row["precision"] in row["executed"]
            assert row["runtime"].startswith("torch")
            assert ("bitsandbytes" in row["runtime"]) == (row["precision"] in ("int8", "nf4"))
            assert abs(row["forecast_memory_mb"] / row["peak_memory_mb"] - 1) < 0.15
        written = list(csv.DictReader(Path(ran["csv"]).read_text().splitlines()))
        assert [(row["run"], row["precision"]) for row in written] == [
            (ran["run"], precision) for precision in precisions
        ]
        items = _items(edgelab, ran["run"])
        assert [item["vision_shared"] for item in items] == ["0", "1", "1"] * len(precisions)
        shown = edgelab("replay", ran["run"], "--speed", "1000")
        assert all(row["executed"] in shown for row in ran["rows"])
        listed = edgelab.json("runs")[0]
        assert (listed["run"], listed["task"]) == (ran["run"], "ask")


def _in_both_layouts(family: str, place: Path) -> tuple[Path, Path]:
    """A tiny checkpoint as its family's repositories have it today, and as the older ones do."""
    from tests.runners import tiny_vlms as tiny
    from tests.runners.tiny_smolvlm import build_smolvlm

    place.mkdir()
    current, older = place / "current", place / "older"
    if family == "mobilevlm":  # not of transformers: other names of weights, other files
        return tiny.build_mobilevlm(current), tiny.build_mobilevlm(older, older=True, binary=True)
    build = {
        "smolvlm": build_smolvlm,
        "qwen2-vl": tiny.build_qwen2_vl,
        "qwen2.5-vl": tiny.build_qwen2_5_vl,
        "paligemma": tiny.build_paligemma,
    }[family]
    return build(current), tiny.to_older_layout(build(older))


def _items(edgelab: CommandLine, run: str) -> list[dict[str, str]]:
    text = edgelab("export", run, "--csv", "-", "--items")
    return list(csv.DictReader(io.StringIO(text)))


def _is_on_both_sides(row: dict[str, Any]) -> bool:
    return row.get("mae_mean_a") is not None and row.get("mae_mean_b") is not None
