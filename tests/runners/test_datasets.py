"""Reading datasets: the three kinds, the catalogue's, and what is wrong with some."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.detect import DetectSettings
from runners.datasets.coco import read_coco
from runners.datasets.dataset import Box, Dataset, Sample, evenly, sample_inside
from runners.datasets.folder import read_folder
from runners.datasets.source import Source, open_source
from runners.datasets.yolo_labels import Unusable, read_labels
from runners.datasets.yolo_yaml import YoloDataset

CATS = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
IMAGES = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "sub/b.jpg"}]


def coco_file(folder: Path, **parts: Any) -> Path:
    """A small COCO file in `folder`, parts of it replaced; None leaves one out."""
    content = {
        "images": IMAGES,
        "categories": CATS,
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]},
            {"id": 2, "image_id": 1, "category_id": 3, "iscrowd": 0},
            {"id": 3, "image_id": 1, "category_id": 7, "iscrowd": 1},
        ],
        **parts,
    }
    (folder / "images").mkdir(exist_ok=True)
    path = folder / "annotations.json"
    path.write_text(json.dumps({key: part for key, part in content.items() if part is not None}))
    return path


class TestCoco:
    def test_reads_classes_truth_and_names(self, tmp_path: Path) -> None:
        dataset = read_coco(coco_file(tmp_path), None, "pets")
        first, second = dataset.samples
        assert dataset.classes == ("cat", "dog")
        assert (first.name, first.path) == ("a.jpg", tmp_path / "images" / "a.jpg")
        assert (first.truth, second.truth) == ({1: 2}, {})
        assert dataset.has_truth
        assert dataset.objects == 2

    def test_crowds_are_not_counted_and_that_is_said(self, tmp_path: Path) -> None:
        (warning,) = read_coco(coco_file(tmp_path), None, "pets").warnings
        assert warning == "1 crowd annotations (iscrowd) are not counted as objects"
        assert read_coco(coco_file(tmp_path, annotations=[]), None, "pets").warnings == ()

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"images": None}, "missing required field `images`"),
            ({"annotations": None}, "missing required field `annotations`"),
            ({"categories": None}, "missing required field `categories`"),
            ({"images": []}, "images is empty"),
            ({"images": [{"id": 1}]}, "missing required field `file_name`"),
            ({"images": [{"id": 1, "file_name": 5}]}, r"\$.images\[0\].file_name"),
            ({"annotations": [{"image_id": 9, "category_id": 3}]}, "annotations: none can be used"),
            ({"annotations": [{"image_id": 1}]}, "annotations: none can be used"),
        ],
    )
    def test_says_which_key_is_wrong(
        self, tmp_path: Path, parts: dict[str, Any], message: str
    ) -> None:
        path = coco_file(tmp_path, **parts)
        with pytest.raises(Problem, match=f"(?i){path}.*{message}"):
            read_coco(path, None, "pets")

    @pytest.mark.parametrize(
        "fault",
        [
            {"image_id": 9, "category_id": 3},
            {"image_id": [], "category_id": 3},
            {"image_id": 1, "category_id": 4},
            {"image_id": 1},
            {"image_id": 1, "category_id": 3, "iscrowd": "no"},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 0, 5]},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 5, -1]},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 5, float("nan")]},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 5]},
            {"image_id": 1, "category_id": 3, "bbox": "0 0 5 5"},
        ],
    )
    def test_a_faulty_annotation_costs_itself(self, tmp_path: Path, fault: dict[str, Any]) -> None:
        good = {"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}
        dataset = read_coco(coco_file(tmp_path, annotations=[good, fault, good]), None, "pets")
        assert dataset.samples[0].truth == {1: 2}
        assert dataset.samples[0].boxes == (Box(1, 1, 2, 3, 4),) * 2
        (warning,) = dataset.warnings
        assert "left out: 1 x " in warning

    def test_of_equal_ids_the_first_counts(self, tmp_path: Path) -> None:
        path = coco_file(tmp_path, images=IMAGES[:1] * 2, categories=[*CATS, CATS[0]])
        dataset = read_coco(path, None, "pets")
        assert (len(dataset.samples), dataset.classes) == (1, ("cat", "dog"))
        assert "id of images" in dataset.warnings[1]
        assert "id of categories" in dataset.warnings[1]

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"\xff"', b"null"])
    def test_broken_json(self, tmp_path: Path, content: bytes) -> None:
        path = coco_file(tmp_path)
        path.write_bytes(content)
        with pytest.raises(Problem, match=str(path)):
            read_coco(path, None, "pets")

    def test_missing_image_folder(self, tmp_path: Path) -> None:
        with pytest.raises(Problem, match="nowhere: no such folder of images"):
            read_coco(coco_file(tmp_path), tmp_path / "nowhere", "pets")

    @pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b.png", "a\0b"])
    def test_names_that_lead_out_are_recorded(self, tmp_path: Path, name: str) -> None:
        path = coco_file(tmp_path, images=[{"id": 1, "file_name": name}], annotations=[])
        (sample,) = read_coco(path, None, "pets").samples
        assert sample.path is None
        assert sample.problem == "the file name leads out of the image folder"

    @given(st.text(min_size=1, max_size=30))
    def test_no_name_leads_out(self, name: str) -> None:
        folder = Path("/data/images")
        sample = sample_inside(folder, name, None)
        if sample.path is not None:
            assert Path(*sample.path.parts).is_relative_to(folder)
            assert ".." not in sample.path.parts


YAML = """
path: data
train: images/train
val: [images/val, more.txt]
names: {0: cat, 1: dog}
download: rm -rf /
"""


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """A dataset in ultralytics' layout: two val images in a folder, one in a list."""
    for name in ("images/train/t.png", "images/val/b.png", "images/val/a.jpg", "listed/c.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    labels = tmp_path / "data" / "labels" / "val"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("0 .5 .5 .1 .1\n1 .5 .5 .2 .2\n\n1 .5 .5 .2 .2\n1 .1 .1 .2 .2\n")
    (tmp_path / "data" / "listed" / "c.txt").write_text("1 .1 .1 .2 .1 .2 .2")
    (tmp_path / "data" / "more.txt").write_text("./listed/c.png\nnotes.md\n")
    file = tmp_path / "pets.yaml"
    file.write_text(YAML)
    return file


class TestYoloYaml:
    def test_reads_folders_lists_and_labels(self, yolo: Path) -> None:
        dataset = YoloDataset.read(yolo).open("val", "pets")
        assert dataset.classes == ("cat", "dog")
        assert [(sample.name, sample.truth) for sample in dataset.samples] == [
            ("images/val/a.jpg", {0: 1, 1: 2}),  # equal lines count once
            ("images/val/b.png", {}),
            ("listed/c.png", {1: 1}),
        ]

    def test_without_labels_there_is_no_truth(self, yolo: Path) -> None:
        dataset = YoloDataset.read(yolo).open("train", "pets")
        assert not dataset.has_truth
        assert dataset.warnings == ("no label files were found: counts have nothing to match",)

    def test_names_as_a_list(self, yolo: Path) -> None:
        yolo.write_text(YAML.replace("{0: cat, 1: dog}", "[cat, dog]"))
        assert YoloDataset.read(yolo).classes == ("cat", "dog")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("names: {0: cat, 1: dog}", "", "object missing required field `names`"),
            ("{0: cat, 1: dog}", "{0: cat, 2: dog}", "names: expected the indices 0 to 1"),
            ("{0: cat, 1: dog}", "cat", "names = 'cat'"),
            ("{0: cat, 1: dog}", r'["\ud800", dog]', "names: not valid Unicode"),
            ("[images/val, more.txt]", "images/lost", "images/lost: .* does not exist"),
            ("[images/val, more.txt]", "labels", "val: no images in labels"),
            ("val: [images/val, more.txt]", "", "no split 'val', it has train"),
            ("path: data", "path: [", "not valid YAML"),
            ("path: data", "path: 2024-99-99", "not valid YAML"),
            ("path: data", "path: !!int ''", "not valid YAML"),
            ("path: data", "path: !!bool data", "not valid YAML"),
            ("path: data", "path: !!timestamp data", "not valid YAML"),
            pytest.param("path: data", "path: " + "[" * 100_000, "not valid YAML", id="deep"),
            ("path: data", "path: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ],
    )
    def test_says_what_is_wrong(self, yolo: Path, old: str, new: str, message: str) -> None:
        yolo.write_text(YAML.replace(old, new))
        with pytest.raises(Problem, match=f"(?i){yolo}: {message}"):
            YoloDataset.read(yolo).open("val", "pets")

    @pytest.mark.parametrize(
        ("line", "why", "detail"),
        [
            ("0 .5 .5 .1", Unusable.LENGTH, "expected a class and 4 numbers, found '0 .5 .5 .1'"),
            ("0 .1 .1 .2 .2 .3", Unusable.LENGTH, "expected a class and 4 numbers, found"),
            ("x .5 .5 .1 .1", Unusable.WORDS, "expected numbers, found 'x .5 .5 .1 .1'"),
            ("2 .5 .5 .1 .1", Unusable.CLASS, "class 2, expected 0 to 1"),
            ("0.5 .5 .5 .1 .1", Unusable.CLASS, "class 0.5, expected 0 to 1"),
            ("nan .5 .5 .1 .1", Unusable.CLASS, "class nan, expected 0 to 1"),
            ("0 .5 .5 nan .1", Unusable.FINITE, "expected finite numbers"),
            ("0 .5 .5 0 .1", Unusable.EXTENT, "width and height must be above 0"),
        ],
    )
    def test_a_faulty_label_costs_itself(
        self, yolo: Path, line: str, why: Unusable, detail: str
    ) -> None:
        label = yolo.parent / "data" / "labels" / "val" / "a.txt"
        label.write_text(f"0 .5 .5 .2 .1\n{line}\n")
        dataset = YoloDataset.read(yolo)
        (fault,) = read_labels(label, 2).faults
        assert (fault.line, fault.why) == (2, why)
        assert detail in fault.detail
        opened = dataset.open("val", "pets")
        assert (opened.samples[0].truth, opened.relative_boxes) == ({0: 1}, True)
        assert opened.samples[0].boxes == (Box(0, 0.4, 0.45, 0.2, 0.1),)
        (warning,) = opened.warnings
        assert f"labels left out: 1 x {why}" in warning

    def test_an_outline_is_the_box_around_it(self, yolo: Path) -> None:
        outline = YoloDataset.read(yolo).open("val", "pets").samples[2]
        assert outline.boxes is not None
        (box,) = outline.boxes
        assert box[:5] == pytest.approx((1, 0.1, 0.1, 0.1, 0.1))

    def test_a_label_file_that_cannot_be_read_leaves_nothing_known(self, yolo: Path) -> None:
        (yolo.parent / "data" / "labels" / "val" / "a.txt").write_bytes(b"\xff\xfe\xff")
        dataset = YoloDataset.read(yolo).open("val", "pets")
        assert [sample.truth for sample in dataset.samples] == [None, {}, {1: 1}]
        assert "1 x label file that cannot be read" in dataset.warnings[0]


class TestFolder:
    def test_takes_images_in_order_and_leaves_the_rest(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.JPG", "deep/c.webp", "notes.txt", ".hidden.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        dataset = read_folder(tmp_path, "mine")
        assert [sample.name for sample in dataset.samples] == ["a.JPG", "b.png", "deep/c.webp"]
        assert not dataset.has_truth
        assert dataset.objects is None

    def test_a_name_that_is_not_utf_8_is_recorded(self, tmp_path: Path) -> None:
        Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")).write_bytes(b"")
        (sample,) = read_folder(tmp_path, "mine").samples
        assert sample == Sample(r"caf\udce9.png", None, None, "the file name is not UTF-8")

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(Problem, match="no images in it"):
            read_folder(tmp_path, "mine")


class TestSource:
    def open(self, home: Home, **settings: Any) -> tuple[Source, DetectSettings]:
        asked = DetectSettings(model="m", **settings)
        return open_source(asked, Catalogue(home), home, lambda *_: None), asked

    def test_limit_takes_the_first_and_calibrates_on_the_rest(
        self, home: Home, tmp_path: Path
    ) -> None:
        for index in range(10):
            (tmp_path / f"{index}.png").write_bytes(b"")
        source, settings = self.open(home, dataset=str(tmp_path), limit=6)
        evaluated = source.evaluation(settings)
        assert [sample.name for sample in evaluated.samples] == [f"{i}.png" for i in range(6)]
        chosen, remark = source.calibration(evaluated, 3)
        assert [sample.name for sample in chosen] == ["6.png", "7.png", "8.png"]
        assert remark is None

    def test_calibrating_on_evaluated_images_is_said(self, home: Home, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"")
        source, settings = self.open(home, dataset=str(tmp_path))
        chosen, remark = source.calibration(source.evaluation(settings), 3)
        assert [sample.name for sample in chosen] == ["a.png"]
        assert remark is not None
        assert "also evaluated" in remark

    def test_a_yaml_calibrates_on_train(self, home: Home, yolo: Path) -> None:
        source, settings = self.open(home, dataset=str(yolo))
        evaluated = source.evaluation(settings)
        assert evaluated.split == "val"
        chosen, remark = source.calibration(evaluated, 3)
        assert ([sample.name for sample in chosen], remark) == (["images/train/t.png"], None)

    def test_a_profile_of_the_user(self, home: Home, tmp_path: Path) -> None:
        coco_file(tmp_path)
        (home.profiles / "datasets").mkdir(parents=True)
        (home.profiles / "datasets" / "pets.toml").write_text(
            f'schema_version = 1\nkind = "local"\ntitle = "Pets"\n'
            f'path = "{tmp_path}/annotations.json"\n'
        )
        source, settings = self.open(home, dataset="pets")
        evaluated = source.evaluation(settings)
        assert (evaluated.name, len(evaluated.samples)) == ("pets", 2)

    def test_generated_data_is_drawn_when_it_is_asked_for(self, home: Home) -> None:
        told: list[tuple[str, int, int]] = []
        settings = DetectSettings(model="m", dataset="shapes", split="calibration", limit=3)
        source = open_source(
            settings, Catalogue(home), home, lambda *progress: told.append(progress)
        )
        assert told == []
        evaluated = source.evaluation(settings)
        assert len(evaluated.samples) == 3
        assert evaluated.has_truth
        assert told[-1][0] == "calibration"
        assert told[-1][1] == told[-1][2] == len(told)

    def test_images_go_with_coco_only(self, home: Home, tmp_path: Path) -> None:
        with pytest.raises(Problem, match=r"beside a COCO \.json or a \.csv"):
            self.open(home, dataset=str(tmp_path), images=str(tmp_path))

    def test_an_unknown_name(self, home: Home) -> None:
        with pytest.raises(Problem, match="neither a dataset of the catalogue nor a file"):
            self.open(home, dataset="nothing")

    def test_an_unknown_split(self, home: Home) -> None:
        source, settings = self.open(home, dataset="shapes", split="tests")
        with pytest.raises(Problem, match="no split 'tests', it has train, calibration, val, test"):
            source.evaluation(settings)

    def test_a_split_of_data_that_has_none(self, home: Home, tmp_path: Path) -> None:
        source, settings = self.open(home, dataset=str(tmp_path), split="val")
        with pytest.raises(Problem, match="has no splits"):
            source.evaluation(settings)

    def test_a_file_of_another_kind(self, home: Home, tmp_path: Path) -> None:
        (tmp_path / "data.txt").write_text("")
        with pytest.raises(Problem, match=r"expected a folder of images, a COCO .json, a"):
            self.open(home, dataset=str(tmp_path / "data.txt"))


def test_fingerprint_changes_with_truth_names_sizes_and_classes(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"1")

    def fingerprint(name: str = "a", truth: int = 1, classes: tuple[str, ...] = ("x",)) -> str:
        return Dataset("d", "all", classes, (Sample(name, image, {0: truth}),)).fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    others = [fingerprint(name="b"), fingerprint(truth=2), fingerprint(classes=("y",))]
    image.write_bytes(b"22")
    assert len({first, fingerprint(), *others}) == 5


def test_fingerprint_changes_where_a_box_moves(tmp_path: Path) -> None:
    """The counts are the same then, mAP is not."""
    (tmp_path / "images").mkdir()
    file = tmp_path / "coco.json"

    def fingerprint(left: float, crowd: int = 0) -> str:
        box = {"image_id": 1, "category_id": 1, "bbox": [left, 2, 3, 4], "iscrowd": crowd}
        content = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 1, 1]}, box],
        }
        file.write_text(json.dumps(content))
        return read_coco(file, None, "coco").fingerprint()

    first = fingerprint(1)
    assert fingerprint(1) == first
    assert len({first, fingerprint(1.5), fingerprint(1, crowd=1), fingerprint(1.5, 1)}) == 4


@given(st.integers(0, 50), st.integers(1, 60))
def test_evenly_takes_as_many_as_asked_all_different(total: int, count: int) -> None:
    samples = [Sample(str(index), None) for index in range(total)]
    chosen = evenly(samples, count)
    assert len(chosen) == min(total, count)
    assert len({sample.name for sample in chosen}) == len(chosen)
