"""A dataset with every fault: each is named, and a run counts what can be counted."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgelab.catalogue import Catalogue
from edgelab.cli import run as run_command
from edgelab.dataset_report import Kind
from edgelab.home import Home
from tests.end_to_end.conftest import CommandLine
from tests.end_to_end.test_hostile import harmless
from tests.faulty_coco import HOSTILE, write_faulty_coco
from tests.runners.colour_detector import build_detector

OF_COCO = set(Kind) - {Kind.UNUSABLE, Kind.LABEL, Kind.STRAY, Kind.NO_LABEL}
"""What a COCO file that can be run may hold."""


Said = Callable[[], str]
"""What was printed since it was asked last, on both streams."""


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: "".join(capsys.readouterr())


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    return write_faulty_coco(tmp_path)


def test_every_fault_is_named_once(edgelab: CommandLine, faulty: Path, tmp_path: Path) -> None:
    model = str(build_detector(tmp_path / "m.onnx"))
    report = edgelab.json("datasets", "check", str(faulty), "--model", model, code=1)
    found = {(each["kind"], each["where"].partition(" (")[0]) for each in report["findings"]}
    assert found == {
        ("missing image", "gone.png"),
        ("broken image", "cut.png"),
        ("broken image", "text.png"),
        ("unusable file name", "../outside.png"),
        ("wrong size", "1.png"),
        ("double id", "category 2"),
        ("double id", "image 1"),
        ("double id", "annotation 5"),
        ("double image", "image 9"),
        ("double class", "category 5"),
        ("double box", "annotation 6"),
        ("unknown id", "annotation 7"),
        ("unknown id", "annotation 8"),
        ("bad box", "annotation 9"),
        ("bad box", "annotation 10"),
        ("bad box", "annotation 11"),
        ("bad iscrowd", "annotation 12"),
        ("box outside", "annotation 5"),
        ("object without a box", "annotation no. 14"),
        ("class without images", "nowhere"),
        ("class without images", "Red "),
        ("class unknown to the model", HOSTILE),
        ("class unknown to the model", "nowhere"),
        ("class unknown to the model", "red"),  # its name is there twice: the later one has it
        ("crowds", "faulty"),
    }
    assert {each["kind"] for each in report["findings"]} == OF_COCO
    assert (report["images"], report["readable"]) == (9, 5)
    assert report["faults"] == sum(Kind(each["kind"]).is_fault for each in report["findings"])


def test_a_person_reads_it_sorted_and_unharmed(faulty: Path, home: Home, said: Said) -> None:
    assert run_command(["datasets", "check", str(faulty)]) == 1
    out = said()
    harmless(out)
    kinds = [kind.value for kind in Kind if kind in OF_COCO - {Kind.NOT_KNOWN}]
    places = [out.index(f"\n{kind} ") for kind in kinds]
    assert places == sorted(places)
    assert "18 faults: 1 x missing image, 2 x broken image" in out
    assert "bbox = [0, 0, nan, 8]: finite numbers are expected: left out" in out
    assert "reaches 26.0 px out of the image of 64 x 64 px" in out
    assert "640 x 480 px in the annotations, 64 x 64 px in the file" in out


def test_a_run_counts_what_can_be_counted(
    edgelab: CommandLine, faulty: Path, tmp_path: Path
) -> None:
    """All images are items, with the reason where they gave nothing; good objects are counted."""
    run = edgelab.json(
        "run", "detect", "--model", str(build_detector(tmp_path / "m.onnx")), "--dataset",
        str(faulty), "--threads", "1", "--precision", "fp32",
    )  # fmt: skip
    report = edgelab.json("datasets", "check", str(faulty), code=1)
    row = run["rows"][0]
    assert (row["outcome"], row["images"], row["errors"]) == ("finished", 5, 4)
    assert row["gt_count"] == report["objects"] == 8
    told = " ".join(run["warnings"])
    assert "1 crowd annotations (iscrowd) are not counted" in told
    assert "3 x box without an extent, or no box" in told
    assert "the model does not know these classes" in told
    items = edgelab("export", "last", "--csv", "-", "--items")
    harmless(edgelab("show", "last"))
    errors = {r["image"]: r["error"] for r in csv.DictReader(io.StringIO(items, newline=""))}
    assert "cut off" in errors["cut.png"]
    assert "leads out" in errors["../outside.png"]
    assert len(errors) == 8


def test_what_can_be_run_gets_a_name(faulty: Path, home: Home, said: Said) -> None:
    arguments = ["datasets", "add", "mine", str(faulty), "--classes", "red,green", "--per-class"]
    assert run_command([*arguments, "2"]) == 0
    out = said()
    assert str(home.profiles / "datasets" / "mine.toml") in out
    assert "18 faults in it: edgelab datasets check mine" in out
    entry = Catalogue(home).dataset("mine")
    assert entry is not None
    profile = msgspec.to_builtins(entry.require())
    assert (profile["path"], profile["classes"], profile["per_class"]) == (
        str(faulty), ("red", "green"), 2,
    )  # fmt: skip
    assert run_command([*arguments, "2"]) == 2
    assert "the name is taken" in said()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Mine!", (), "small letters, digits"),
        ("mine", ("--classes", "lilac"), "lilac: not among its classes"),
        ("mine", ("--images", "/nowhere"), "/nowhere: does not exist"),
        ("shapes", (), "the name is taken"),
    ],
)
def test_what_cannot_be_run_gets_none(
    faulty: Path, home: Home, said: Said, name: str, options: tuple[str, ...], message: str
) -> None:
    assert run_command(["datasets", "add", name, str(faulty), *options]) == 2
    assert message in said()
    assert not home.profiles.exists()


def test_data_without_a_fault(colours: tuple[str, str], home: Home, said: Said) -> None:
    model, dataset = colours
    assert run_command(["datasets", "check", dataset, "--model", model]) == 0
    out = said()
    assert "no faults" in out
    assert "12, 12 can be read" in out
    assert "object without a box" in out


def test_what_is_no_dataset_is_said_in_one_line(home: Home, tmp_path: Path, said: Said) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "a.json").write_text('{"images": 3}')
    assert run_command(["datasets", "check", str(tmp_path / "a.json")]) == 2
    out = said()
    assert "not a COCO file" in out
    assert len(out.splitlines()) <= 3
