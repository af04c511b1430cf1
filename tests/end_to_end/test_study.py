"""A whole study through the real supervisor: killed at any moment, it ends with the same table."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from edgelab.journal import JournalReader
from edgelab.records import Item, ItemLine
from edgelab.run_folder import RunFolder
from tests.end_to_end.conftest import CommandLine, end_supervisor

COUNTED = (
    "model", "precision", "threshold", "gt_count", "pred_count", "mae_mean", "mse_mean", "images",
)  # fmt: skip
KILLS = 20


@pytest.fixture
def matrix(colours: tuple[str, str], tmp_path: Path) -> str:
    """Two models that are one, three precisions, three thresholds: 18 configurations."""
    model, dataset = colours
    twin = tmp_path / "twin.onnx"
    twin.write_bytes(Path(model).read_bytes())
    path = tmp_path / "mine.toml"
    path.write_text(
        f"""
schema_version = 1
title = "Colours"
[settings]
task = "detect"
precisions = ["fp32", "fp16", "int8"]
thresholds = [0.3, 0.5, 0.7]
repetitions = 40
threads = 1
images = "{tmp_path / "images"}"
[axes]
dataset = ["{dataset}"]
model = ["{model}", "{twin}"]
"""
    )
    return str(path)


def counted(document: dict[str, list[dict[str, object]]]) -> list[list[object]]:
    return [[row[name] for name in COUNTED] for row in document["rows"]]


def test_a_study_that_is_killed_again_and_again_ends_with_the_same_table(
    edgelab: CommandLine, matrix: str
) -> None:
    whole = edgelab.json("study", matrix)
    assert whole["configurations"] == whole["done"] == len(whole["rows"]) == 18
    assert len(whole["runs"]) == 2
    chance = random.Random(20261125)
    begun = edgelab.json("study", matrix, "--detach")
    study = begun["study"]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 1.2))  # no wait for anything: a moment of chance
        end_supervisor(edgelab.home)  # with everything that it had started
        edgelab.json("study", study, "--resume", "--detach")
    resumed = edgelab.json("study", study, "--resume")
    assert resumed["done"] == 18
    assert counted(resumed) == counted(whole)
    for run in begun["runs"]:
        journal: JournalReader[Item] = JournalReader(
            RunFolder(edgelab.home.runs / run).items, ItemLine
        )
        seen = Counter((i.precision, i.repetition, i.index) for i in journal.poll())
        assert set(seen.values()) == {1}
        assert len(seen) == 3 * 40 * 12
    assert {row["id"]: row["done"] for row in edgelab.json("studies") if "id" in row} == {
        whole["study"]: 18,
        study: 18,
    }


def test_a_study_is_compared_with_published_rows_and_with_itself(
    edgelab: CommandLine, matrix: str
) -> None:
    study = edgelab.json("study", matrix, "--repetitions", "1")["study"]
    published = edgelab("compare", f"study:{study}", "reference:counting-cv")
    assert "study" in published
    document = edgelab.json("compare", f"study:{study}", f"study:{study}", "--paired")
    pairs = document["paired"]
    assert len(pairs) == 18
    for pair in pairs:
        assert pair["images"] == 12
        assert pair["difference"] == 0
        assert pair["distinguishable"] is False
    said = edgelab("compare", f"study:{study}", f"study:{study}", "--paired")
    assert "not distinguishable" in said


def test_a_broken_model_is_a_result_and_the_rest_goes_on(
    edgelab: CommandLine, matrix: str, tmp_path: Path
) -> None:
    (tmp_path / "twin.onnx").write_bytes(b"no model")
    document = edgelab.json("study", matrix, "--repetitions", "1", code=1)
    assert [run["outcome"] for run in document["runs"]] == ["finished", "failed"]
    assert document["done"] == 9
    said = edgelab("study", document["study"], code=1)
    assert "9 of 18 configurations have a result" in said
    again = edgelab.json("study", document["study"], "--resume", code=1)
    assert again["rows"] == document["rows"]


def test_ctrl_c_stops_all_of_it_and_resume_goes_on(edgelab: CommandLine, matrix: str) -> None:
    console = edgelab.start("study", matrix, "--repetitions", "100")
    deadline = time.monotonic() + 60
    while not list(edgelab.home.runs.glob("*/items.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    console.send_signal(signal.SIGINT)
    console.communicate(timeout=60)
    listed = edgelab.json("runs")
    assert {run["outcome"] for run in listed} == {"stopped"}
    assert not list(edgelab.home.queue.iterdir())
    document = edgelab.json("study", matrix, "--repetitions", "100", "--resume")
    assert document["done"] == 18
    assert os.environ.get("EDGELAB_HOME") == str(edgelab.home.root)
