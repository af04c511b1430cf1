"""The quick benchmark as a first-time user runs it: from the wheel, in any folder."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from edgelab.home import Home
from tests.end_to_end.conftest import end_supervisor

ROOT = Path(__file__).parents[2]


def nobodys_python(**more: str) -> dict[str, str]:
    """The environment without what would show this checkout to another Python."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more


@dataclass(frozen=True)
class Installation:
    """The wheel in an environment that has its dependencies and nothing of ours."""

    environment: Path
    home: Home

    def __call__(self, *arguments: str) -> str:
        """What `edgelab ...` says, called in another folder."""
        done = subprocess.run(
            [self.environment / "bin/edgelab", *arguments],
            cwd="/",
            env=nobodys_python(EDGELAB_HOME=str(self.home.root)),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        return done.stdout

    def files(self) -> set[Path]:
        """All that is installed."""
        found = self.environment.rglob("*")
        return {path for path in found if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture
def edgelab(tmp_path: Path, home: Home) -> Iterator[Installation]:
    folder = tmp_path / "wheel"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    wheel = next(folder.glob("*.whl"))
    subprocess.run(
        [environment / "bin/pip", "install", "--quiet", str(wheel)],
        check=True,
        capture_output=True,
        env=nobodys_python(),
    )
    yield Installation(environment, home)
    end_supervisor(home)


def test_the_quick_benchmark_counts_in_every_precision_from_any_folder(
    edgelab: Installation,
) -> None:
    before = edgelab.files()
    stylesheets = {path.name for path in before if path.suffix == ".tcss"}
    assert stylesheets == {path.name for path in (ROOT / "screens").rglob("*.tcss")}
    assert "yolov8n-shapes" in edgelab("models")
    assert "shapes" in edgelab("datasets")
    result = json.loads(edgelab("run", "quick", "--json"))
    assert edgelab.files() == before
    check_counts(result["rows"])
    with Path(result["csv"]).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 9


def check_counts(rows: list[dict[str, Any]]) -> None:
    """Each precision counts as FP32 does, and is what it was asked to be."""
    assert [row["threshold"] for row in rows] == [0.3, 0.5, 0.7] * 3
    full = {row["threshold"]: row for row in rows if row["precision"] == "fp32"}
    assert full[0.5]["mae_mean"] <= 0.30
    for row in rows:
        reference = full[row["threshold"]]
        # Of 1,500 counts about 30 are off by one; which of them INT8 gets wrong depends on the CPU.
        assert row["mae_mean"] == pytest.approx(reference["mae_mean"], abs=0.01)
        assert row["pred_count"] == pytest.approx(row["gt_count"], rel=0.05)
        assert row["latency_p90_ms"] >= row["latency_p50_ms"] > 0
        assert row["images_per_s"] > 0
        assert row["errors"] == 0
    sizes = [next(group)["model_mb"] for _, group in groupby(rows, lambda r: r["precision"])]
    assert sizes[0] > 1.8 * sizes[1] > sizes[2]
    executed = {row["precision"]: row["executed"] for row in rows}
    assert executed["fp32"] == "100% fp32"
    share = re.match(r"(\d+)% int8", executed["int8"])
    assert share is not None
    assert int(share[1]) > 80
    assert {row["iou"] for row in rows} == {0.3}  # as the model's profile says, not the default
