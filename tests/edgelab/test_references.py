from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.references import data_sha256, read_table
from tests.edgelab.published import NOBODY, published

PROFILE = """
schema_version = 1
version = 1
title = "T"
task = "detect"
file = "mine.csv"
origin = "me"
[[columns]]
name = "net"
role = "model"
meaning = "m"
[[columns]]
name = "error"
role = "figure"
figure = "mae_mean"
meaning = "m"
"""


@pytest.fixture
def mine(home: Home) -> Path:
    folder = home.profiles / "references"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(PROFILE)
    (folder / "mine.csv").write_text("net,error\nyolo,1.5\n")
    return folder


def read_mine(home: Home):  # type: ignore[no-untyped-def]
    entry = Catalogue(home).reference("mine")
    assert entry is not None
    return read_table(entry)


@pytest.mark.parametrize(
    ("name", "rows"), [("counting-cv", 18), ("counting-vlm", 12), ("chart-classification", 12)]
)
def test_shipped_tables_are_whole(name: str, rows: int) -> None:
    table = published(name)
    assert len(table.rows) == rows
    assert table.published
    assert all(row.figures for row in table.rows)


def test_a_row_by_hand() -> None:
    row = next(row for row in published("counting-cv").rows if row.name == "yolov8n fp16 0.3")
    assert row.figures["pred_count"] == 20529
    assert row.figures["found_share"] == 20529 / 15754
    assert row.figures["minutes_per_subdataset_mean"] == 3.628
    assert row.facts["board"] == "Orange Pi 3B"
    assert "resolution" not in row.facts, "what is not stated is unknown"


def test_precision_of_a_classifier_is_no_number_format() -> None:
    row = published("chart-classification").rows[0]
    assert row.precision is None
    assert row.figures["macro_precision"] == 0.9686


def test_shipped_data_are_the_published_ones() -> None:
    """A changed figure is another version: raise `version` in the profile, then change this."""
    hashes = {
        entry.name: (entry.require().version, data_sha256(entry)[:12])
        for entry in Catalogue(NOBODY).references()
    }
    assert hashes == {
        "chart-classification": (1, "ecfa12b2522d"),
        "counting-cv": (1, "b77759eabf16"),
        "counting-vlm": (1, "45f8d441acdc"),
    }


def test_ones_own_table_is_known_too(home: Home, mine: Path) -> None:
    assert [row.figures for row in read_mine(home).rows] == [{"mae_mean": 1.5}]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("net,error\nyolo,much\n", "row 1: error = 'much': must be a number from 0 on, or empty"),
        ("net,error\nyolo,nan\n", "row 1: error = 'nan'"),
        ("net,error\nyolo,-1\n", "row 1: error = '-1'"),
        ("net,error\n,1\n", "row 1: names no model"),
        ("net,error\nyolo,1\nyolo\n", "row 2: needs 2 cells"),
        ("net,error\nyolo,1,2\n", "row 1: needs 2 cells"),
        ("net,mistake\nyolo,1\n", "its columns must be net, error, as the profile says"),
        ('net,error\n"yolo,1\n', "not valid CSV"),
    ],
)
def test_a_bad_table_is_named(home: Home, mine: Path, data: str, problem: str) -> None:
    (mine / "mine.csv").write_text(data)
    with pytest.raises(Problem, match=r"mine\.csv") as caught:
        read_mine(home)
    assert problem in str(caught.value)


def test_a_table_without_its_data_is_named(home: Home, mine: Path) -> None:
    (mine / "mine.csv").unlink()
    with pytest.raises(Problem, match=r"mine\.csv: cannot be read"):
        read_mine(home)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('role = "model"', 'role = "variant"', "one column must have the role model"),
        ('figure = "mae_mean"', 'figure = "speed"', "no figure is called speed"),
        ('title = "T"', 'titel = "T"', "titel"),
    ],
)
def test_a_bad_profile_is_named(home: Home, mine: Path, old: str, new: str, problem: str) -> None:
    (mine / "mine.toml").write_text(PROFILE.replace(old, new))
    with pytest.raises(Problem, match=problem):
        read_mine(home)
