"""Looking through datasets: labels of ultralytics, folders, boxes against their images."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.catalogue import Catalogue
from edgelab.dataset_report import DatasetReport, Kind
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.detect import DetectSettings
from runners.checking.listing import ListedImage, Listing, PlacedBox
from runners.checking.pictures import TOLERANCE_PX, check_pictures
from runners.checking.report import check_dataset
from runners.datasets.source import open_source
from tests.runners.colour_detector import some_cells, write_cells


def check(home: Home, dataset: Path | str, split: str | None = None) -> DatasetReport:
    settings = DetectSettings(model="none", dataset=str(dataset), split=split)
    source = open_source(settings, Catalogue(home), home, lambda *_: None)
    return check_dataset(source, settings, None, lambda *_: None)


def found(report: DatasetReport) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.where) for finding in report.findings]


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        write_cells(tmp_path / "images" / f"{name}.png", some_cells(1, 2))
    (tmp_path / "labels").mkdir()
    file = tmp_path / "pets.yaml"
    file.write_text("val: images\nnames: [cat, dog]\n")
    return file


def test_faults_of_labels(home: Home, yolo: Path) -> None:
    labels = yolo.parent / "labels"
    lines = ("0 .5 .5 .1 .1", "0 .5 .5 .1 .1", "2 .5 .5 .1 .1", "0 .5 .5 nan .1", "0 .5 .5 .1 0")
    (labels / "a.txt").write_text("\n".join((*lines, "cat", "0 1 .5 .5 .1")))
    (labels / "b.txt").write_bytes(b"\xff\xff")
    (labels / "z.txt").write_text("0 .5 .5 .1 .1")
    (yolo.parent / "images" / "c.png").write_bytes(b"")
    report = check(home, yolo)
    assert found(report) == [
        ("broken image", "images/c.png"),
        ("double box", "labels/a.txt: line 2"),
        ("unknown id", "labels/a.txt: line 3"),
        ("bad box", "labels/a.txt: line 4"),
        ("bad box", "labels/a.txt: line 5"),
        ("box outside", "labels/a.txt: line 7"),
        ("bad label", "labels/a.txt: line 6"),
        ("bad label", "labels/b.txt"),
        ("label without image", "labels/z.txt"),
        ("class without images", "dog"),
        ("images without labels", "pets.yaml"),
    ]
    assert (report.images, report.readable, report.objects) == (3, 2, 2)
    assert [(each.images, each.objects) for each in report.classes] == [(1, 2), (0, 0)]


def test_an_image_that_is_listed_twice(home: Home, yolo: Path) -> None:
    (yolo.parent / "list.txt").write_text("images/a.png\n")
    yolo.write_text("val: [images, list.txt]\nnames: [cat, dog]\n")
    (yolo.parent / "labels" / "a.txt").write_text("0 .5 .5 .1 .1\n1 .5 .5 .1 .1")
    assert found(check(home, yolo))[:1] == [("double image", "images/a.png")]


def test_a_folder_has_images_and_no_more(home: Home, tmp_path: Path) -> None:
    write_cells(tmp_path / "a.png", some_cells(1, 2))
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff")
    report = check(home, tmp_path)
    assert found(report) == [("broken image", "b.jpg")]
    assert (report.objects, report.classes, report.readable) == (None, (), 1)


def test_a_table_of_labels(home: Home, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_cells(tmp_path / f"{name}.png", some_cells(1, 2))
    file = tmp_path / "labels.csv"
    file.write_text("image,label\na.png,cat\nb.png,dog\nb.png,cat\ngone.png,cat\n")
    report = check(home, file)
    assert found(report) == [
        ("missing image", "gone.png"), ("double image", "b.png"), ("bad label", "b.png"),
    ]  # fmt: skip
    assert [(each.name, each.images, each.objects) for each in report.classes] == [
        ("cat", 3, 3), ("dog", 1, 1),
    ]  # fmt: skip
    file.write_text("image,label,split\na.png,cat,train\nb.png,dog,test\n")
    report = check(home, file)
    assert (report.split, report.images) == ("train", 1)
    with pytest.raises(Problem, match="no split 'val', it has train, test"):
        check(home, file, "val")


def test_a_table_of_questions(home: Home, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "photos"):
        folder.mkdir(exist_ok=True)
    write_cells(tmp_path / "photos" / "a.png", some_cells(1, 2))
    file = tmp_path / "asked.csv"
    file.write_text("image,question,answer\na.png,many?,2\na.png,many?,3\nb.png,red?,no\n")
    profile = home.profiles / "datasets" / "asked.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(
        'schema_version = 1\nkind = "local"\ntitle = "Asked"\n'
        f'path = "{file}"\nimages = "{tmp_path}/photos"\n'
    )
    report = check(home, "asked")
    assert found(report) == [("missing image", "b.png"), ("bad label", "a.png")]
    assert (report.questions, report.images, report.readable) == (3, 2, 1)
    assert (report.objects, report.classes) == (None, ())


@given(st.tuples(*(st.floats(-100, 200) for _ in range(4))), st.booleans())
def test_a_box_is_outside_where_a_border_is_crossed(
    box: tuple[float, float, float, float], relative: bool
) -> None:
    left, top, width, height = box
    listing = Listing()
    shares = PlacedBox("it", *(side / 64 for side in box)) if relative else PlacedBox("it", *box)
    image = ListedImage("a", Path("/nowhere"), None, (64, 64), relative, [shares])
    listing.images.append(image)
    assert check_pictures(listing, lambda *_: None) == 0
    told = [finding.kind for finding in listing.findings]
    beyond = max(-left, -top, left + width - 64, top + height - 64)
    if abs(beyond - TOLERANCE_PX) > 1e-6:  # where rounding does not decide
        assert told == [Kind.MISSING, *([Kind.OUTSIDE] * (beyond > TOLERANCE_PX))]
