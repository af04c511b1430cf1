"""`edgelab convert` with the real supervisor; what it makes runs in another lab, without torch."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import CommandLine, board_without_torch, end_supervisor


@pytest.fixture
def convert(colours: tuple[str, str], tmp_path: Path) -> tuple[str, ...]:
    """The arguments of a conversion of a few seconds."""
    model, dataset = colours
    images = str(tmp_path / "images")
    return ("convert", model, "--dataset", dataset, "--images", images, "--threads", "1")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Another lab, where whoever imports torch fails."""
    return board_without_torch(tmp_path, monkeypatch)


def test_a_converted_model_runs_on_another_board_as_it_is(
    edgelab: CommandLine,
    board: CommandLine,
    convert: tuple[str, ...],
    detect: tuple[str, ...],
) -> None:
    made = edgelab.json(*convert, "--precision", "fp16", "int8")
    assert made["outcome"] == "finished", made["reason"]
    assert [each["precision"] for each in made["conversions"]] == ["fp16", "int8"]
    assert "refusal" not in str(made["conversions"])
    rows = list(csv.DictReader(Path(made["csv"]).read_text().splitlines()))
    assert {row["precision"] for row in rows} == {"fp16", "int8"}
    assert "int8" in edgelab("show", made["run"])

    folder = edgelab.home.profiles / "models" / "colours"
    assert "verdict" in (folder / "int8.txt").read_text()
    assert "colours" in edgelab("models")

    carried = board.home.profiles / "models" / "colours"
    shutil.copytree(folder, carried)
    try:
        ran = board.json(
            *detect[:2], "--model", "colours", *detect[4:], "--precision", "fp16",
            "--precision", "int8",
        )  # fmt: skip
        alone = board.json(
            *detect[:2], "--model", str(carried / "int8.onnx"), *detect[4:], "--precision", "int8"
        )
    finally:
        end_supervisor(board.home)
    assert ran["outcome"] == alone["outcome"] == "finished", ran["reason"] or alone["reason"]
    by_precision = {row["precision"]: row for row in (*ran["rows"], *alone["rows"])}
    reports = {each["precision"]: each for each in made["conversions"]}
    assert by_precision["int8"]["model_sha256"] == reports["int8"]["sha256"]
    assert {row["mae_mean"] for row in ran["rows"]} == {0.0}
    # Nothing was converted: the folder of conversions was never made.
    assert not board.home.converted.exists()


def test_words_that_are_no_precision_or_no_data_are_refused(
    edgelab: CommandLine, convert: tuple[str, ...]
) -> None:
    assert "invalid choice: 'nf4'" in edgelab(*convert, "--precision", "nf4", code=2)
    assert "--dataset: choose one" in edgelab(*convert[:2], code=2)
    assert "name = '../x'" in edgelab(*convert, "--name", "../x", code=2)
