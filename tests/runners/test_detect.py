"""The programs from end to end, as a supervisor starts them, on a detector known exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgelab.home import Home
from edgelab.records import DatasetFacts, Failure, ModelFacts, PassEnded, PassStarted, Phase
from edgelab.records import Warning as WarningRecord
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from tests.runners.colour_detector import CLASSES, build_detector, some_cells, write_cells
from tests.runners.conftest import NewRun

IMAGES = 6


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A COCO file of images with 0 to 5 coloured cells; its classes are in another order."""
    order = ("blue", "red", "green")
    images, annotations = [], []
    for index in range(IMAGES):
        cells = some_cells(index, index)
        write_cells(tmp_path / "data" / "images" / f"{index}.png", cells)
        images.append({"id": index, "file_name": f"{index}.png"})
        annotations += [
            {"image_id": index, "category_id": 10 + order.index(colour)}
            for colour in cells.values()
        ]
    file = tmp_path / "data" / "annotations.json"
    categories = [{"id": 10 + index, "name": name} for index, name in enumerate(order)]
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return file


@pytest.mark.parametrize("scenario", ["single-stream", "offline"])
def test_counts_equal_the_truth_in_every_precision(
    new_run: NewRun, colour_model: Path, coco: Path, scenario: str
) -> None:
    run = new_run(
        model=str(colour_model),
        dataset=str(coco),
        precisions=DETECTOR_PRECISIONS,
        scenario=scenario,
        repetitions=2,
    )
    run.run_all()
    items = run.items()
    for precision in DETECTOR_PRECISIONS:
        mine = [item for item in items if item.precision is precision]
        places = [(item.repetition, item.index) for item in mine]
        assert places == [(each, index) for each in range(2) for index in range(IMAGES)]
        for item in mine:
            assert item.error is None
            assert item.truth == item.counts[0]
            assert sum(item.truth.values()) == item.index == len(item.detections)
            assert item.times is not None
            assert item.times.latency > 0


def test_facts_are_told(new_run: NewRun, colour_model: Path, coco: Path) -> None:
    run = new_run(model=str(colour_model), dataset=str(coco), limit=4, warmup=3)
    run.run_all()
    (dataset,) = run.events(DatasetFacts)
    (model,) = run.events(ModelFacts)
    (started,) = run.events(PassStarted)
    (ended,) = run.events(PassEnded)
    assert isinstance(dataset, DatasetFacts)
    assert isinstance(model, ModelFacts)
    assert isinstance(started, PassStarted)
    assert isinstance(ended, PassEnded)
    assert (dataset.images, dataset.objects, dataset.has_truth) == (4, 0 + 1 + 2 + 3, True)
    assert dataset.classes == ("blue", "red", "green")
    assert model.classes == CLASSES
    assert model.input_size == (64, 64)
    assert model.executed.full > 0
    assert model.executed.integer == model.executed.half == 0
    assert model.cost is not None
    assert model.cost.macs > 0
    assert model.cost.unknown == {}
    assert (started.images, started.warmup) == (4, 3)
    assert ended.elapsed_s > 0
    assert ended.peak_memory_bytes > 10_000_000
    assert [phase.name for phase in run.events(Phase) if isinstance(phase, Phase)][-1] == "measure"
    assert len(run.items()) == 4


def test_broken_images_are_recorded_and_the_run_goes_on(
    new_run: NewRun, colour_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    write_cells(folder / "good.png", {(1, 1): "red"})
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:-20])
    run = new_run(model=str(colour_model), dataset=str(folder))
    run.run_all()
    errors = {item.image: item.error for item in run.items()}
    assert errors["good.png"] is None
    assert errors["empty.png"] == "the file is empty"
    assert errors["cut.png"] == "the image is cut off"
    assert errors["text.jpg"] == "not an image that OpenCV can decode"
    good = next(item for item in run.items() if item.error is None)
    assert good.counts == ({0: 1}, {0: 1}, {0: 1})
    assert good.truth is None


def test_no_usable_image_is_a_failure(new_run: NewRun, colour_model: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    run = new_run(model=str(colour_model), dataset=str(tmp_path / "pictures"))
    assert run.run("runners.prepare")[0] == 0
    code, said = run.run("runners.detect", "--precision", "fp32")
    assert code == 1
    assert said == "no image gave a result; the first one: a.png: the file is empty\n"


def test_scores_that_are_no_numbers_are_a_failure(
    new_run: NewRun, colour_model: Path, coco: Path
) -> None:
    model = onnx.load(colour_model)
    (bias,) = [each for each in model.graph.initializer if each.name == "class_bias"]
    bias.CopyFrom(numpy_helper.from_array(np.full(3, np.nan, np.float32), bias.name))
    onnx.save(model, colour_model)
    run = new_run(model=str(colour_model), dataset=str(coco))
    assert run.run("runners.prepare")[0] == 0
    code, said = run.run("runners.detect", "--precision", "fp32")
    assert code == 1
    assert "no image gave a result; the first one: 0.png: the model gives scores that" in said
    assert [item.error for item in run.items()] == [
        "the model gives scores that are not numbers"
    ] * IMAGES


def test_a_pipe_among_the_images_holds_up_no_run(
    new_run: NewRun, colour_model: Path, coco: Path
) -> None:
    (coco.parent / "images" / "0.png").unlink()
    os.mkfifo(coco.parent / "images" / "0.png")
    precisions = (Precision.FP32, Precision.INT8)  # the one also read for calibration
    run = new_run(model=str(colour_model), dataset=str(coco), precisions=precisions)
    run.run_all()
    errors = [item.error for item in run.items() if item.index == 0]
    assert errors == ["cannot be read (not a regular file)"] * 2


def test_one_pass_serves_all_thresholds(new_run: NewRun, colour_model: Path, coco: Path) -> None:
    thresholds = (0.1, 0.5, 0.9)
    together = new_run(model=str(colour_model), dataset=str(coco), thresholds=thresholds)
    together.run_all()
    for position, threshold in enumerate(thresholds):
        alone = new_run(
            model=str(colour_model),
            dataset=str(coco),
            thresholds=(threshold,),
            keep_score=threshold,
        )
        alone.run_all()
        counts = [item.counts[0] for item in alone.items()]
        assert counts == [item.counts[position] for item in together.items()]


def test_a_problem_is_one_sentence(new_run: NewRun, colour_model: Path) -> None:
    run = new_run(model=str(colour_model), dataset="/nowhere")
    code, said = run.run("runners.prepare")
    (failure,) = run.events(Failure)
    assert isinstance(failure, Failure)
    assert code == 1
    assert said == failure.text + "\n"
    assert "/nowhere: neither a dataset of the catalogue nor a file or folder" in said


def test_a_precision_that_cannot_be_made_stops_no_other(
    new_run: NewRun, tmp_path: Path, colour_model: Path, coco: Path
) -> None:
    half = build_detector(tmp_path / "half.onnx", dtype=np.float16)
    run = new_run(model=str(half), dataset=str(coco), precisions=(Precision.FP16, Precision.FP32))
    assert run.run("runners.prepare") == (0, "")
    assert run.run("runners.detect", "--precision", "fp16") == (0, "")
    assert all(item.counts[0] == item.truth for item in run.items())
    code, said = run.run("runners.detect", "--precision", "fp32")
    assert code == 1
    assert "the file holds fp16 weights" in said
    assert [e.text for e in run.events(WarningRecord) if isinstance(e, WarningRecord)]


def test_a_profile_of_another_family_is_refused(
    new_run: NewRun, home: Home, colour_model: Path, coco: Path
) -> None:
    folder = home.profiles / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(
        'schema_version = 1\ntitle = "Mine"\ntask = "detect"\nfamily = "ssdlite"\n'
        f'file = "{colour_model}"\n'
    )
    code, said = new_run(model="mine", dataset=str(coco)).run("runners.prepare")
    assert code != 0
    assert "of the family 'yolo', but the profile of mine says family = 'ssdlite'" in said


def test_the_shipped_ssdlite_counts_in_every_precision(new_run: NewRun) -> None:
    run = new_run(
        model="ssdlite320-shapes",
        dataset="shapes",
        precisions=DETECTOR_PRECISIONS,
        thresholds=(0.25,),  # the one chosen on val
        limit=40,
        threads=2,
        calibration_images=10,
    )
    run.run_all()
    truth = sum(sum(item.truth.values()) for item in run.items()[:40] if item.truth)
    for precision in DETECTOR_PRECISIONS:
        mine = [item for item in run.items() if item.precision is precision]
        found = sum(sum(item.counts[0].values()) for item in mine)
        assert abs(found - truth) <= 0.05 * truth
    facts = {e.precision: e for e in run.events(ModelFacts) if isinstance(e, ModelFacts)}
    assert facts[Precision.FP16].size_bytes < 0.55 * facts[Precision.FP32].size_bytes
    integer = facts[Precision.INT8].executed
    assert integer.integer > 2 * (integer.full + integer.half)


def test_memory_of_the_measuring_process_is_numpy_opencv_and_the_runtime() -> None:
    program = (
        "import sys, runners.detect; "
        "print([name for name in ('onnx', 'torch', 'yaml', 'platformdirs', 'ultralytics', 'PIL', "
        "'sympy', 'textual', 'psutil', 'runners.prepare') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"
