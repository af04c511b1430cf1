from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from edgelab.cli import run
from edgelab.home import Home
from edgelab.outcome import close_run
from edgelab.records import Item
from tests.recorded import life_of, make_item, make_spec, write_run


@pytest.fixture
def two_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGELAB_HOME", str(home.root))
    for number in (1, 2):
        items: list[Item] = [make_item(index, 103.0 + index) for index in range(20)]
        close_run(home, write_run(home, make_spec(number), life_of(items)))


def test_two_runs_side_by_side(two_runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "#1", "#2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("A: run #1\nB: run #2\n")
    assert "nothing that is known" in said
    assert "p50 ms A" in said


def test_against_a_published_table(
    two_runs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--csv", str(tmp_path / "c.csv"), "--markdown", str(tmp_path / "c.md")]
    assert run(["compare", "1,2", "reference:counting-cv", "--pair", "m=yolov8n", *files]) == 0
    said = capsys.readouterr().out
    assert "stand-in: m for yolov8n (paired on request)" in said
    assert "cannot be right: yolov8n fp16 0.3 found 20529 where fp32 found 11174" in said
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row_b"] for row in rows[:2]] == [
        "counting-cv yolov8n fp32 0.3",
        "counting-cv yolov8n fp32 0.7",
    ]
    assert "## What differs" in (tmp_path / "c.md").read_text()


def test_check_as_json(two_runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "reference:counting-vlm", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in document["findings"]] == ["squares", "bias"]
    assert run(["check", "last"]) == 0
    assert capsys.readouterr().out == "Findings in run #2\n  none\n"


def test_references_are_listed(two_runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["references", "--json"]) == 0
    listed = {each["name"]: each["rows"] for each in json.loads(capsys.readouterr().out)}
    assert listed == {"chart-classification": 12, "counting-cv": 18, "counting-vlm": 12}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["compare", "#1", "reference:nothing"], "no reference is called 'nothing'; there are"),
        (["compare", "#1", "#9"], "no run has the number"),
        (["compare", "#1", "#2", "--pair", "m"], "--pair m: must be A's model, =, B's model"),
        (["compare", "#1", "#2", "--csv", "/no/such/folder/c.csv"], "there is no folder"),
    ],
)
def test_what_cannot_be_compared_is_named(
    two_runs: None, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert run(arguments) == 2
    assert problem in capsys.readouterr().err
