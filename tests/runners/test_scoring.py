"""Scores of a pass: pycocotools' own figures, and intervals that are those of images drawn anew."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgelab.coco_results import coco_results
from edgelab.problem import Problem
from edgelab.records import (
    Bounds,
    DetectedItem,
    PassScores,
    Warning,  # noqa: A004
)
from edgelab.settings.common import Precision
from edgelab.tally import PassTally
from runners.datasets.dataset import Box
from runners.scoring.average_precision import average_precisions
from runners.scoring.bootstrap import bounds, draws
from runners.scoring.coco import Matcher
from runners.scoring.counts import CountTable, count_bounds, count_table, figures
from runners.scoring.precision import precision_figures
from runners.scoring.scored import Found, ScoredImage
from tests.runners.colour_detector import some_cells, write_cells
from tests.runners.conftest import NewRun, RunnerRun

CLASSES = 3

# Random scenes --------------------------------------------------------------------------------

sides = st.integers(1, 8)
places = st.integers(0, 10)
boxes = st.builds(
    lambda label, x, y, w, h, crowd: Box(label, x, y, w, h, crowd),
    st.integers(0, CLASSES - 1), places, places, sides, sides,
    st.sampled_from([False, False, False, False, True]),
)  # fmt: skip
scores = st.sampled_from([0.1, 0.3, 0.5, 0.5, 0.7, 0.9])
found = st.builds(
    lambda label, x, y, w, h, score: (x, y, x + w, y + h, score, label),
    st.integers(0, CLASSES - 1), places, places, sides, sides, scores,
)  # fmt: skip
images = st.builds(
    ScoredImage,
    st.lists(boxes, max_size=4),
    st.lists(found, max_size=5),
    st.none() | st.sets(st.integers(0, CLASSES - 1), min_size=1).map(lambda s: tuple(sorted(s))),
)


def reference_precision(scene: Sequence[ScoredImage], label: int) -> list[float] | None:
    """AP by IoU as pycocotools' own summary of a COCO file and a results list has it."""
    evaluated = [
        (place, image)
        for place, image in enumerate(scene, 1)
        if image.evaluated is None or label in image.evaluated
    ]
    truth, results = COCO(), []
    truth.dataset = {
        "images": [{"id": place} for place, _ in evaluated],
        "categories": [{"id": 1}],
        "annotations": [],
    }
    for place, image in evaluated:
        truth.dataset["annotations"] += [
            {"image_id": place, "category_id": 1, "bbox": list(box[1:5]), "iscrowd": int(box.crowd),
             "area": box.width * box.height}
            for box in image.boxes if box.label == label
        ]  # fmt: skip
        results += [
            {"image_id": place, "category_id": 1, "score": row[4],
             "bbox": [row[0], row[1], row[2] - row[0], row[3] - row[1]]}
            for row in image.found if row[5] == label
        ]  # fmt: skip
    for number, annotation in enumerate(truth.dataset["annotations"], 1):
        annotation["id"] = number
    truth.createIndex()
    if not any(not each["iscrowd"] for each in truth.dataset["annotations"]):
        return None
    if not results:
        return [0.0] * 10
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, 2]
    return [float(value) for value in precision.mean(axis=1)]


@hypothesis_settings(max_examples=60)
@given(st.lists(images, min_size=1, max_size=5))
def test_average_precision_is_that_of_pycocotools(scene: list[ScoredImage]) -> None:
    matcher = Matcher(scene)
    for label in range(CLASSES):
        expected, got = reference_precision(scene, label), matcher.match(label)
        assert (got.ap is None) == (expected is None)
        ours = average_precisions(got.matches, np.ones((1, len(scene))))[0]
        if expected is None:
            assert np.isnan(ours).all()
        else:
            assert got.ap == pytest.approx(expected, abs=1e-12)
            assert ours == pytest.approx(expected, abs=1e-12)


@hypothesis_settings(max_examples=60)
@given(st.lists(st.tuples(images, st.integers(0, 3)), min_size=1, max_size=4))
def test_an_image_drawn_k_times_is_k_images(drawn: list[tuple[ScoredImage, int]]) -> None:
    """But for the order of equal scores on one image, which no rule gives."""
    drawn = [(replace(image, found=_differing(image.found)), times) for image, times in drawn]
    scene = [image for image, _ in drawn]
    weights = np.array([[float(times) for _, times in drawn]])
    copies = [image for image, times in drawn for _ in range(times)]
    for label in range(CLASSES):
        ours = average_precisions(Matcher(scene).match(label).matches, weights)[0]
        expected = reference_precision(copies, label) if copies else None
        if expected is None:
            assert np.isnan(ours).all()
        else:
            assert ours == pytest.approx(expected, abs=1e-12)


def _differing(rows: Sequence[Found]) -> list[Found]:
    """The first of each score."""
    return list({row[4]: row for row in reversed(rows)}.values())


def test_means_are_over_the_classes_that_have_objects() -> None:
    box = Box(0, 0, 0, 4, 4)
    hit: Found = (0, 0, 4, 4, 0.9, 0)
    miss: Found = (20, 20, 24, 24, 0.9, 1)
    scene = [ScoredImage((box, Box(1, 0, 0, 4, 4)), (hit, miss))] * 4
    done: list[int] = []
    got = precision_figures(scene, CLASSES, done.append)
    assert done == [1, 2, 3]
    assert [each.ap50.value if each.ap50 else None for each in got.classes] == [1.0, 0.0, None]
    assert got.map50 is not None
    assert (got.map50.value, got.map50.low, got.map50.high) == (0.5, 0.5, 0.5)


def test_without_objects_there_is_no_average_precision() -> None:
    got = precision_figures([ScoredImage((), ())] * 3, CLASSES, lambda _: None)
    assert (got.map50, got.map50_95) == (None, None)


# Counts ---------------------------------------------------------------------------------------

counts = st.dictionaries(st.integers(0, CLASSES - 1), st.integers(0, 6))
items = st.builds(
    lambda truth, found, evaluated: DetectedItem(
        0.0, Precision.FP32, 0, "a", truth=truth, counts=(found,), evaluated=evaluated
    ),
    counts,
    counts,
    st.none() | st.sets(st.integers(0, CLASSES - 1), min_size=1).map(tuple),
)


def tallied(measured: Sequence[DetectedItem]) -> Any:
    tally = PassTally((0.5,), [f"class {index}" for index in range(CLASSES)])
    for item in measured:
        tally.add(item)
    return tally.rows()[0]


@given(st.lists(st.tuples(items, st.integers(0, 3)), min_size=1, max_size=6))
def test_figures_of_drawn_images_are_those_of_the_tally(
    drawn: list[tuple[DetectedItem, int]],
) -> None:
    table = count_table([item for item, _ in drawn], 0, CLASSES)
    got = figures(table, np.array([[float(times) for _, times in drawn]]))[0]
    copies = [item for item, times in drawn for _ in range(times)]
    if not copies:
        assert np.isnan(got).all()
        return
    for index, row in enumerate(tallied(copies).classes):
        expected = [row.mae, row.rmse, row.bias, row.exact]
        shown = [None if math.isnan(value) else value for value in got[:, index]]
        assert shown == pytest.approx(expected)


@hypothesis_settings(max_examples=25)
@given(st.lists(items, min_size=2, max_size=6))
def test_intervals_lie_around_the_figures(measured: list[DetectedItem]) -> None:
    table = count_table(measured, 0, CLASSES)
    whole = figures(table, np.ones((1, len(measured))))[0]
    extremes = np.abs(table.errors).max()
    found = count_bounds(0.5, table)
    for index, each in enumerate(found.classes):
        if each.mae is None:
            assert table.counted[:, index].sum() < 2
            continue
        assert 0 <= each.mae.low <= each.mae.high <= extremes
        if np.ptp(table.errors[table.counted[:, index], index]) == 0:  # all images alike
            assert pair(each.mae) == pytest.approx((whole[0, index],) * 2)


def pair(limits: Bounds | None) -> tuple[float, float]:
    assert limits is not None
    return limits.low, limits.high


def test_one_image_tells_nothing_of_others() -> None:
    one = count_bounds(0.5, CountTable(np.ones((1, 2)), np.ones((1, 2), np.bool_)))
    assert (one.means.mae, one.classes) == (None, ())


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    """Of samples of a distribution whose mean is known; the percentile interval is a bit short."""
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        errors = rng.poisson(2.0, 60).astype(float)
        means = np.concatenate([each @ errors / 60 for each in draws(60, 1000, seed)])
        (limits,) = bounds(means[:, None])
        low, high = pair(limits)
        held += low <= 2.0 <= high
    assert 180 <= held <= 198


def test_draws_are_those_of_the_seed_and_whole() -> None:
    first, again = (np.concatenate(list(draws(7, 250))) for _ in range(2))
    assert first.shape == (250, 7)
    assert (first == again).all()
    assert (first.sum(axis=1) == 7).all()


# A run ----------------------------------------------------------------------------------------


@pytest.fixture
def boxed(tmp_path: Path) -> Path:
    """A COCO file whose boxes are off by up to 3 px of 8, with crowds and a class never found."""
    rng = np.random.default_rng(5)
    names = ("red", "green", "blue", "violet")
    listed, annotations = [], []
    for index in range(10):
        cells = some_cells(index, 1 + index % 5)
        write_cells(tmp_path / "images" / f"{index}.png", cells)
        listed.append({"id": index + 1, "file_name": f"{index}.png"})
        for (row, column), colour in cells.items():
            shift = rng.integers(-3, 4, 2)
            corner = [8.0 * column + float(shift[0]), 8.0 * row + float(shift[1])]
            annotations.append(
                {"image_id": index + 1, "category_id": names.index(colour), "bbox": [*corner, 8, 8],
                 "iscrowd": int(rng.random() < 0.1)}
            )  # fmt: skip
    annotations.append({"image_id": 1, "category_id": 3, "bbox": [0, 0, 8, 8], "iscrowd": 0})
    for number, annotation in enumerate(annotations, 1):
        annotation |= {"id": number, "area": 64.0}
    file = tmp_path / "boxed.json"
    categories = [{"id": index, "name": name} for index, name in enumerate(names)]
    file.write_text(
        json.dumps({"images": listed, "annotations": annotations, "categories": categories})
    )
    return file


def scored(run: RunnerRun) -> PassScores:
    run.run_all()
    assert run.run("runners.score") == (0, "")
    (event,) = run.events(PassScores)
    assert isinstance(event, PassScores)
    return event


def test_a_run_has_the_map_of_its_results_file(
    new_run: NewRun, colour_model: Path, boxed: Path, tmp_path: Path
) -> None:
    """COCO's evaluation of what `edgelab export --coco` writes, against the same file."""
    own_ids(boxed)
    run = new_run(model=str(colour_model), dataset=str(boxed), precisions=(Precision.FP32,))
    event = scored(run)
    truth, results = COCO(str(boxed)), tmp_path / "results.json"
    results.write_text(coco_results(run.folder, None))
    evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert event.map50_95 is not None
    assert event.map50 is not None
    assert event.map50_95.value == pytest.approx(evaluation.stats[0], abs=1e-12)
    assert event.map50.value == pytest.approx(evaluation.stats[1], abs=1e-12)
    assert 0.05 < event.map50_95.value < event.map50.value < 1
    assert event.map50.low < event.map50.value < event.map50.high
    violet = event.classes[3].ap50
    assert violet is not None
    assert violet.value == 0.0


def own_ids(file: Path) -> None:
    """Let ids be no places: images by 7, categories from 10 down."""
    content = json.loads(file.read_text())
    for each in content["images"]:
        each["id"] *= 7
    for each in content["categories"]:
        each["id"] = 10 - each["id"]
    for each in content["annotations"]:
        each |= {"image_id": each["image_id"] * 7, "category_id": 10 - each["category_id"]}
    file.write_text(json.dumps(content))


def test_results_are_of_one_pass_over_coco_data(
    new_run: NewRun, colour_model: Path, boxed: Path
) -> None:
    both = (Precision.FP32, Precision.FP16)
    run = new_run(
        model=str(colour_model), dataset=str(boxed), classes=("blue", "red"), precisions=both,
    )  # fmt: skip
    run.run_all()
    with pytest.raises(Problem, match="--precision: choose one of fp32, fp16"):
        coco_results(run.folder, None)
    results = json.loads(coco_results(run.folder, Precision.FP16))
    assert {each["category_id"] for each in results} == {0, 2}, "green is not counted"
    with pytest.raises(Problem, match="no image was measured in int8"):
        coco_results(run.folder, Precision.INT8)
    plain = new_run(model=str(colour_model), dataset=str(boxed.parent / "images"))
    with pytest.raises(Problem, match="no COCO ids"):
        coco_results(plain.folder, None)


def test_a_run_does_not_go_on_over_boxes_that_moved(
    new_run: NewRun, colour_model: Path, boxed: Path
) -> None:
    """Its counts would be the same."""
    run = new_run(model=str(colour_model), dataset=str(boxed), precisions=(Precision.FP32,))
    run.run_all()
    content = json.loads(boxed.read_text())
    content["annotations"][0]["bbox"][0] += 1
    boxed.write_text(json.dumps(content))
    code, said = run.run("runners.prepare")
    assert code == 1
    assert "the dataset changed since the run began" in said


def test_sub_datasets_are_scored_over_their_own_images(
    new_run: NewRun, colour_model: Path, boxed: Path
) -> None:
    run = new_run(
        model=str(colour_model), dataset=str(boxed), classes=("blue", "red"), per_class=3,
        precisions=(Precision.FP32,),
    )  # fmt: skip
    event = scored(run)
    truth = COCO(str(boxed))
    items = run.items()
    assert any(item.evaluated == (0,) for item in items)
    for place, category in enumerate((2, 0)):
        own = [item for item in items if item.evaluated is None or place in item.evaluated]
        numbers = [int(item.image.removesuffix(".png")) + 1 for item in own]
        results = [
            {"image_id": number, "category_id": category, "score": score,
             "bbox": [left, top, right - left, bottom - top]}
            for number, item in zip(numbers, own, strict=True)
            for left, top, right, bottom, score, label in item.detections if label == category
        ]  # fmt: skip
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.params.imgIds, evaluation.params.catIds = numbers, [category]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        figures_of = event.classes[place]
        assert figures_of.ap50 is not None
        assert figures_of.ap50.value == pytest.approx(evaluation.stats[1], abs=1e-12)


def test_labels_of_ultralytics_are_scored_alike(
    new_run: NewRun, colour_model: Path, tmp_path: Path
) -> None:
    """Boxes in shares of the image are the same boxes."""
    (tmp_path / "labels").mkdir()
    names = ("red", "green", "blue")
    for index in range(4):
        cells = some_cells(index, 3)
        write_cells(tmp_path / "images" / f"{index}.png", cells)
        lines = [
            f"{names.index(colour)} {(column + 0.5) / 8} {(row + 0.5) / 8} .125 .125"
            for (row, column), colour in cells.items()
        ]
        (tmp_path / "labels" / f"{index}.txt").write_text("\n".join(lines))
    file = tmp_path / "cells.yaml"
    file.write_text("val: images\nnames: [red, green, blue]\n")
    event = scored(
        new_run(model=str(colour_model), dataset=str(file), precisions=(Precision.FP32,))
    )
    assert event.map50_95 is not None
    assert event.map50_95.value == pytest.approx(1.0)


def test_objects_without_boxes_leave_no_map_and_say_why(
    new_run: NewRun, colour_model: Path, boxed: Path
) -> None:
    content = json.loads(boxed.read_text())
    content["annotations"] = [each for each in content["annotations"] if not each["iscrowd"]]
    del content["annotations"][0]["bbox"], content["annotations"][1]["bbox"]
    boxed.write_text(json.dumps(content))
    run = new_run(model=str(colour_model), dataset=str(boxed), precisions=(Precision.FP32,))
    event = scored(run)
    told = [each.text for each in run.events(Warning) if isinstance(each, Warning)]
    assert told[-1] == "no mAP: 2 counted objects have no box"
    assert event.map50 is None
    assert len(event.counts) == 3
    assert event.counts[0].means.mae is not None
