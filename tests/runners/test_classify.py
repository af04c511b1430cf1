"""Classifying from end to end, on a classifier known exactly, and on what a training left."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from edgelab.catalogue import Catalogue, ClassifierProfile
from edgelab.export import items_csv
from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.problem import Problem
from edgelab.reader import LiveRun
from edgelab.records import (
    ClassifiedItem,
    Converted,
    DatasetFacts,
    ItemLine,
    ModelFacts,
    Record,
)
from edgelab.records import Warning as WarningRecord
from edgelab.run_folder import RunFolder
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from edgelab.spec import SPEC_VERSION, RunSpec
from runners.classifier import ImageClassifier
from runners.classifier_doctor import examine
from runners.classifier_file import read_classifier
from runners.datasets.chart_drawing import draw_chart
from runners.datasets.labelled import make_splits
from runners.datasets.labelled_sources import read_class_folders, read_digits
from runners.datasets.picture_files import as_files
from runners.images import read_image
from runners.model_file import find_model
from runners.quantise_classifier import classifier_float_nodes
from tests.runners.colour_classifier import CLASSES, build_classifier, write_images
from tests.runners.conftest import RunnerRun

NewClassify = Callable[..., RunnerRun]


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """The hand-made classifier of red, green and blue."""
    return build_classifier(tmp_path / "colours.onnx")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eight images a colour, in folders."""
    return write_images(tmp_path / "pictures")


@pytest.fixture
def new_classify(home: Home) -> NewClassify:
    """Make the folder of a run that classifies."""

    def make(**settings: object) -> RunnerRun:
        folder = RunFolder(home.runs / f"{len(list(home.runs.glob('*'))):08x}")
        folder.path.mkdir(parents=True)
        chosen = ClassifySettings(**{"threads": 1, "warmup": 1, **settings})  # type: ignore[arg-type]
        folder.write_spec(RunSpec(SPEC_VERSION, folder.id, 1, "test", 0.0, chosen))
        return RunnerRun(folder)

    return make


def run_all(run: RunnerRun) -> list[ClassifiedItem]:
    assert run.run("runners.prepare_classify") == (0, "")
    for precision in run.folder.read_spec().settings.passes:
        assert run.run("runners.classify", "--precision", precision.value) == (0, "")
    return items_of(run)


def items_of(run: RunnerRun) -> list[ClassifiedItem]:
    reader: JournalReader[Record] = JournalReader(run.folder.items, ItemLine)
    return [item for item in reader.poll() if isinstance(item, ClassifiedItem)]


@pytest.mark.parametrize("scenario", ["single-stream", "offline"])
def test_every_answer_is_right_and_kept(
    new_classify: NewClassify, colours: Path, images: Path, scenario: str
) -> None:
    run = new_classify(
        model=str(colours), dataset=str(images), split="all", scenario=scenario, repetitions=2
    )
    items = run_all(run)
    assert [(item.repetition, item.index) for item in items] == [
        (repetition, index) for repetition in range(2) for index in range(24)
    ]
    names = sorted(CLASSES)
    for item in items:
        assert item.label is not None
        assert item.image.startswith(names[item.label])
        assert item.top[0][0] == item.label
        assert sum(probability for _, probability in item.top) == pytest.approx(1)
        assert item.times is not None
        assert item.times.infer > 0
    (facts,) = run.events(DatasetFacts)
    assert isinstance(facts, DatasetFacts)
    assert (facts.images, facts.classes, facts.split) == (24, tuple(names), "all")
    (model,) = run.events(ModelFacts)
    assert isinstance(model, ModelFacts)
    assert (model.input_size, model.iou, model.classes) == ((8, 8), None, CLASSES)


def test_record_and_csv_tell_the_same(
    new_classify: NewClassify, colours: Path, images: Path
) -> None:
    (images / "red" / "00.png").write_bytes(b"")
    shutil.copy(images / "blue" / "01.png", images / "red" / "99.png")
    run = new_classify(model=str(colours), dataset=str(images), split="all")
    run_all(run)
    live = LiveRun(run.folder)
    live.advance()
    record = live.projection.record()
    (scores,) = record.scores
    assert (scores.subject, scores.split, scores.images) == ("fp32", "all", 24)
    assert scores.accuracy.value == pytest.approx(23 / 24)
    assert scores.confusion == ((8, 0, 0), (0, 8, 0), (1, 0, 7))
    (summary,) = record.passes
    assert (summary.images, summary.errors, summary.rows) == (24, 1, ())
    assert summary.latency is not None
    rows = list(csv.DictReader(items_csv([run.folder]).splitlines()))
    assert len(rows) == 25
    (wrong,) = [row for row in rows if row["right"] == "0"]
    assert (wrong["image"], wrong["true_class"]) == ("red/99.png", "red")
    assert wrong["answered_class"] == "blue"
    (unreadable,) = [row for row in rows if row["error"]]
    assert (unreadable["image"], unreadable["answered_class"]) == ("red/00.png", "")


def test_a_class_that_one_side_lacks_is_told_and_never_right(
    new_classify: NewClassify, tmp_path: Path, images: Path
) -> None:
    model = build_classifier(tmp_path / "other.onnx", ("Red", "GREEN", "violet"))
    run = new_classify(model=str(model), dataset=str(images), split="all")
    items = run_all(run)
    blue = [item for item in items if item.image.startswith("blue")]
    assert {item.top[0][0] for item in blue} == {-1}
    assert all(item.top[0][0] == item.label for item in items if item not in blue)
    texts = [each.text for each in run.events(WarningRecord) if isinstance(each, WarningRecord)]
    assert texts == [
        "the model does not know these classes, their images are never right: blue",
    ]


def test_splits_are_those_of_the_training(
    new_classify: NewClassify, home: Home, images: Path
) -> None:
    folder = home.profiles / "models" / "mine"
    build_classifier(folder / "model.onnx")
    (folder / "model.toml").write_text(
        'schema_version = 1\ntitle = "Mine"\ntask = "classify"\nfile = "model.onnx"\n'
        f'dataset = "{images}"\nval_share = 0.2\ntest_share = 0.3\nsplit_seed = 7\n'
    )
    run = new_classify(model="mine", dataset=str(images))
    found = {item.image for item in run_all(run)}
    splits = make_splits(read_class_folders(images), 0.2, 0.3, 7)
    assert found == {picture.name for picture in splits.test}
    train = new_classify(model="mine", dataset=str(images), split="train", limit=3)
    assert len(run_all(train)) == 3
    (warning,) = train.events(WarningRecord)
    assert isinstance(warning, WarningRecord)
    assert "trained on images that it is measured on" in warning.text


def test_input_equals_that_of_training_bit_for_bit(colours: Path, images: Path) -> None:
    from runners.learning.batches import plain_batches
    from runners.learning.pictures import read_pictures

    classifier = ImageClassifier(colours, 8, 1)
    pictures = [each for part in read_class_folders(images).pictures.values() for each in part]
    read = read_pictures("test", pictures, 8, lambda _: None, lambda _: None)
    (batch,) = plain_batches(read, len(pictures))
    for picture, planes in zip(pictures, batch[0].numpy(), strict=True):
        assert picture.path is not None
        tensor, _ = classifier.preprocess(read_image(picture.path))
        np.testing.assert_array_equal(tensor[0], planes)


def test_arrays_become_files_without_losing_a_bit(tmp_path: Path) -> None:
    pictures = next(iter(read_digits().pictures.values()))[:5]
    told: list[int] = []
    for picture, image in zip(pictures, as_files(pictures, tmp_path, told.append), strict=True):
        np.testing.assert_array_equal(read_image(Path(image.path)), picture.read())
        assert image.truth == {picture.label: 1}
    assert told == [1, 2, 3, 4, 5]


def test_the_measuring_process_knows_no_torch(
    new_classify: NewClassify,
    colours: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "timm", "sklearn", "onnx"):
        (blocked / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    run = new_classify(model=str(colours), dataset=str(images), split="all", limit=3)
    assert run.run("runners.prepare_classify") == (0, "")
    monkeypatch.setenv("PYTHONPATH", str(blocked))
    assert run.run("runners.classify", "--precision", "fp32") == (0, "")
    assert len(items_of(run)) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "detect"}, "a model for the task 'detect', expected 'classify'"),
        ({"names": str({0: "a", 1: "b"})}, "names 2 classes, but its head has 3"),
    ],
)
def test_a_file_that_is_no_classifier_is_refused(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(Problem, match=words):
        read_classifier(build_classifier(tmp_path / "m.onnx", **changes), "m")


def test_a_split_that_nobody_has_is_refused(
    new_classify: NewClassify, colours: Path, images: Path
) -> None:
    run = new_classify(model=str(colours), dataset=str(images), split="mine")
    code, said = run.run("runners.prepare_classify")
    assert (code, said) == (1, "split = 'mine': expected train, val, test or all\n")


def test_settings_refuse_what_belongs_to_counting() -> None:
    with pytest.raises(ValueError, match="for counting"):
        ClassifySettings(model="m", dataset="d", per_class=3)
    with pytest.raises(ValueError, match="vision-language"):
        ClassifySettings(model="m", dataset="d", precisions=(Precision.NF4,))


class TestConversions:
    def test_every_precision_gives_the_same_answers(
        self, new_classify: NewClassify, colours: Path, tmp_path: Path
    ) -> None:
        images = write_images(tmp_path / "many", each=30)
        run = new_classify(
            model=str(colours), dataset=str(images), precisions=DETECTOR_PRECISIONS, val_share=0.4
        )
        for item in run_all(run):
            assert item.top[0][0] == item.label
        reports = [each.report for each in run.events(Converted) if isinstance(each, Converted)]
        assert [report.precision for report in reports] == [Precision.FP16, Precision.INT8]
        for report in reports:
            assert report.refusal is None
            assert report.counts == ()
            assert report.answers is not None
            assert report.answers.changed == 0
            assert report.answers.largest_error < 0.1
        _, int8 = reports
        assert (int8.calibrated, int8.checked, int8.kept_float) == (29, 7, 2)
        assert int8.executed.integer >= 1
        assert "same answer" in dict(int8.facts())

    def test_another_model_is_refused(self, colours: Path, images: Path, tmp_path: Path) -> None:
        other = build_classifier(tmp_path / "other.onnx", order=(1, 2, 0))
        paths = sorted(images.rglob("*.png"))
        found = examine(read_classifier(colours, "c"), other, paths, 1, lambda _: None)
        assert found.refusal(Precision.FP16) == (
            "answers collapse: 24 of 24 images get another class than the source gives them"
        )

    def test_the_outermost_layers_and_attention_stay_in_float(self) -> None:
        graph = onnx.parser.parse_graph(
            """
            g (float[1, 4] x) => (float[1, 4] y)
            <float[4, 4] a = {1}, float[4, 4] b = {1}, float[4, 4] c = {1}>
            {
                first = MatMul(x, a)
                scores = MatMul(first, first)
                middle = MatMul(scores, b)
                y = MatMul(middle, c)
            }
            """
        )
        for node in graph.node:
            node.name = node.output[0]
        assert set(classifier_float_nodes(graph)) == {"first", "y", "scores"}


def test_a_run_that_was_cut_goes_on_where_it_was(
    new_classify: NewClassify, colours: Path, images: Path
) -> None:
    run = new_classify(model=str(colours), dataset=str(images), split="all")
    whole = run_all(run)
    lines = run.folder.items.read_bytes().splitlines(keepends=True)
    run.folder.items.write_bytes(b"".join(lines[:11]))
    again = run_all(run)
    assert [(each.index, each.top) for each in again] == [(e.index, e.top) for e in whole]


def test_the_shipped_classifier_knows_charts(home: Home) -> None:
    _, path, profile = find_model("vit-tiny-3-charts", Catalogue(home), ClassifierProfile)
    model = read_classifier(path, "vit-tiny-3-charts")
    assert profile is not None
    assert (model.held, model.side, model.classes) == (Precision.FP32, 64, 11)
    names = model.metadata.class_names
    assert names is not None
    classifier = ImageClassifier(path, model.side, 1)
    charts = [(kind, draw_chart(kind, 224, (9, 9, n))[0]) for kind in names for n in range(3)]
    right = sum(names[classifier(pixels).argmax()] == kind for kind, pixels in charts)
    assert right >= 0.7 * len(charts)
