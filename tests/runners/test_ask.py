"""Asking with the real runner: SmolVLM's ONNX files, which need no torch, and every family."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgelab.answers import Number, parse_count
from edgelab.comparison import compare
from edgelab.comparison_report import columns
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import (
    Answering,
    Asking,
    DatasetFacts,
    ModelFacts,
    PassEnded,
    PassStarted,
)
from edgelab.records import Warning as WarningRecord
from edgelab.result_table import table_of_runs
from edgelab.results import as_dict, rows_of
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from tests.runners.asked_run import AskedRun
from tests.runners.colour_detector import CLASSES, IMAGES, write_coloured_cells

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

from runners.asking.onnx_engine import OnnxEngine
from runners.asking.reply import StageOutOfMemory
from runners.finetuning.relaxed import match
from runners.images import read_image
from runners.smolvlm.export import export
from runners.smolvlm.model import SmolVlm
from tests.runners.tiny_smolvlm import build_smolvlm, says_digits

ONNX_PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.Q4)


@pytest.fixture(scope="module", autouse=True)
def libraries_are_no_garbage() -> Iterator[None]:
    """Each model that is loaded collects garbage; torch is none, and takes long to look through."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SmolVLM as ONNX files of every precision."""
    root = tmp_path_factory.mktemp("smolvlm")
    for precision in ONNX_PRECISIONS:
        export(
            root / "torch" if precision is not Precision.FP32 else build_smolvlm(root / "torch"),
            root / "onnx-files", precision.value,
        )  # fmt: skip
    return root / "onnx-files"


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return write_coloured_cells(tmp_path)


def test_every_image_is_asked_for_every_class_in_every_precision(
    home: Home, onnx_folder: Path, coco: Path
) -> None:
    run = AskedRun.new(home, model=str(onnx_folder), dataset=str(coco), precisions=ONNX_PRECISIONS)
    run.run()
    items = run.items()
    (dataset,) = run.events(DatasetFacts)
    assert (dataset.images, dataset.questions) == (IMAGES, IMAGES * len(CLASSES))
    for precision in ONNX_PRECISIONS:
        mine = [item for item in items if item.precision is precision]
        assert [item.index for item in mine] == list(range(dataset.questions))
        for item in mine:
            image, label = divmod(item.index, len(CLASSES))
            noun = CLASSES[label]
            assert item.image == f"{image}.png"
            assert item.evaluated == (label,)
            assert item.question == (
                f"How many {noun}s are there in this image? Answer with a number only."
            )
            _is_read_as_a_person_would(item.answer, item.counts, item.unanswered, label, noun)
            assert item.stages is not None
            assert item.stages.vision_shared == (label > 0)
            assert item.image_tokens == 16
            assert 0 < item.tokens <= 6
            assert item.times is not None
            assert item.times.latency > item.stages.first_token
    truth = {(item.image, *item.truth.items()) for item in items if item.truth}
    assert truth == {("0.png", (c, 0)) for c in range(3)} | {
        item for item in truth if item[0] != "0.png"
    }
    per_image = [sum(n for name, (_, n) in truth if name == f"{i}.png") for i in range(IMAGES)]
    assert per_image == list(range(IMAGES))


def _is_read_as_a_person_would(
    answer: str, counts: object, unanswered: str | None, label: int, noun: str
) -> None:
    found = parse_count(answer, (noun, f"{noun}s"))
    if isinstance(found, Number):
        assert counts == ({label: found.value},)
        assert unanswered is None
    else:
        assert counts == ()
        assert unanswered


def test_what_runs_is_proven(home: Home, onnx_folder: Path, coco: Path) -> None:
    run = AskedRun.new(
        home, model=str(onnx_folder), dataset=str(coco), limit=1, precisions=ONNX_PRECISIONS
    )
    run.run()
    facts = {each.precision: each for each in run.events(ModelFacts)}
    assert facts[Precision.FP32].executed.words == "100% fp32"
    assert facts[Precision.INT8].executed.integer > 0
    assert facts[Precision.INT8].executed.weights["uint8"] > 0
    assert len({each.sha256 for each in facts.values()}) == len(ONNX_PRECISIONS)
    assert all(each.name == "onnx-files" and "onnxruntime" in each.runtime
               for each in facts.values())  # fmt: skip
    starts, ends = run.events(PassStarted), run.events(PassEnded)
    assert [each.images for each in starts] == [len(CLASSES)] * 4
    assert all(each.warmup == 1 and each.load_s > 0 for each in starts)
    assert all(0 <= each.overhead_share < 1 and each.peak_memory_bytes > 0 for each in ends)


def test_an_encoding_of_its_own_for_every_question_gives_the_same_answers(
    home: Home, onnx_folder: Path, coco: Path, tmp_path: Path
) -> None:
    answers, records = {}, {}
    for share in (True, False):
        run = AskedRun.new(
            Home(tmp_path / str(share)), model=str(onnx_folder), dataset=str(coco),
            share_encoding=share,
        )  # fmt: skip
        run.run()
        answers[share] = [(item.question, item.answer) for item in run.items()]
        records[share] = run.projection().record()
        shared = [item.stages.vision_shared for item in run.items() if item.stages]
        assert any(shared) == share
    assert answers[True] == answers[False]
    labels = [each["image_encoding"] for r in records.values() for each in map(as_dict, rows_of(r))]
    assert labels == ["shared", "each anew"]
    both = [table_of_runs(str(share), [record]) for share, record in records.items()]
    (told,) = compare(*both).differences
    assert told.words == "image encoding: shared / each anew"
    beside = compare(*both)
    (row,) = beside.rows
    assert row.ratio("images_per_s") is not None
    texts = {column.title: column.text(row) for column in columns(beside)}
    assert (texts["encoding A"], texts["encoding B"]) == ("shared", "each anew")
    same = compare(both[0], both[0])
    assert not any(column.title.startswith("encoding") for column in columns(same))


def test_each_stage_is_marked_when_it_begins_and_named_where_memory_runs_out(
    digits_folder: Path, coco: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = AskSettings(model=str(digits_folder), dataset=str(coco), threads=1)
    stages: list[str] = []
    engine = OnnxEngine(digits_folder, Precision.FP32, settings, stages.append)
    image = read_image(coco.parent / "images" / "1.png")
    for shared in (False, True):
        engine.ask(0, image, "How many?", share=shared, on_text=None)
    first = ["load", "preprocess", "vision encode", "prefill", "decode"]
    assert stages == [*first, "prefill", "decode"]

    def fail(*_: object) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer")

    for method, stage in (("_embedding", "decode"), ("_embedded", "prefill"),
                          ("_encoded", "vision encode")):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(SmolVlm, method, fail)
            with pytest.raises(StageOutOfMemory, match=f"in the stage {stage}: "):
                engine.ask(stage, image, "How many?", share=True, on_text=None)


def test_a_run_goes_on_where_it_stood_but_not_with_another_model(
    home: Home, onnx_folder: Path, coco: Path
) -> None:
    run = AskedRun.new(home, model=str(onnx_folder), dataset=str(coco))
    run.run()
    whole = run.folder.items.read_bytes()
    lines = whole.splitlines(keepends=True)
    run.folder.items.write_bytes(b"".join(lines[:5]) + lines[5][:20])
    run.run()
    first = [(item.index, item.answer) for item in run.items()]
    assert [index for index, _ in first] == list(range(IMAGES * len(CLASSES)))
    config = onnx_folder / "config.json"
    kept = config.read_text()
    try:
        config.write_text(kept + " ")
        with pytest.raises(Problem, match="the model changed since the run began"):
            run.prepare()
    finally:
        config.write_text(kept)


def test_images_that_cannot_be_read_cost_their_questions_only(
    home: Home, onnx_folder: Path, coco: Path
) -> None:
    (coco.parent / "images" / "1.png").write_bytes(b"no image")
    run = AskedRun.new(home, model=str(onnx_folder), dataset=str(coco))
    run.run()
    failed = [item for item in run.items() if item.error is not None]
    assert [item.index for item in failed] == [3, 4, 5]
    (summary,) = run.projection().record().passes
    assert (summary.images, summary.errors) == (IMAGES - 1, 3)


def test_portuguese_and_a_folder_without_annotations(
    home: Home, onnx_folder: Path, coco: Path
) -> None:
    run = AskedRun.new(
        home, model=str(onnx_folder), dataset=str(coco.parent / "images"), language="pt",
        prompt="singular", classes=("dog", "gizmo"), limit=2,
    )  # fmt: skip
    run.run()
    items = run.items()
    assert {item.question for item in items} == {
        "Conte cada cachorro nesta imagem. Responda só com um número.",
        "Conte cada gizmo nesta imagem. Responda só com um número.",
    }
    assert all(item.truth is None for item in items)
    assert len(items) == 4
    (told,) = run.events(WarningRecord)
    assert "gizmo" in told.text
    assert "dog" not in told.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prompt": "fifth"}, "no prompt 'fifth' in 'en', there are plural, singular, zero, short"),
        ({"precisions": (Precision.NF4,)}, "no nf4 in it, there are fp32, fp16, int8, q4"),
        ({"model": "nowhere"}, "neither a model of the catalogue, nor a folder, nor a hub id"),
        ({"dataset": "{images}"}, "has no classes of its own: name what is to be counted"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_loaded(
    home: Home, onnx_folder: Path, coco: Path, settings: dict[str, object], words: str
) -> None:
    given = {"model": str(onnx_folder), "dataset": str(coco), **settings}
    given["dataset"] = str(given["dataset"]).replace("{images}", str(coco.parent / "images"))
    with pytest.raises(Problem, match=words):
        AskedRun.new(home, **given).prepare()


def test_all_at_once_is_no_way_to_ask() -> None:
    with pytest.raises(msgspec.ValidationError, match="one after the other"):
        msgspec.convert({"model": "m", "dataset": "d", "scenario": "offline"}, AskSettings)


DIGITS = ("33", "34", "43", "44")


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SmolVLM that answers with two digits whatever it is asked."""
    root = tmp_path_factory.mktemp("digits")
    export(says_digits(build_smolvlm(root / "torch")), root / "onnx-files", "fp32")
    return root / "onnx-files"


def ask_digits(home: Home, folder: Path, **settings: object) -> AskedRun:
    run = AskedRun.new(home, model=str(folder), max_new_tokens=2, **settings)
    run.run()
    return run


def test_images_are_classified_by_what_the_answer_names(
    home: Home, digits_folder: Path, coco: Path, tmp_path: Path
) -> None:
    for index, name in enumerate((*DIGITS, "fifty")):
        target = tmp_path / "labelled" / name / "a.png"
        target.parent.mkdir(parents=True)
        target.write_bytes((coco.parent / "images" / f"{index % IMAGES}.png").read_bytes())
    run = ask_digits(
        home, digits_folder, dataset=str(tmp_path / "labelled"), prompts="classes", prompt="choose"
    )
    items = run.items()
    classes = (*DIGITS, "fifty")
    assert {item.question for item in items} == {
        f"Which of these does this image show: {', '.join(classes)}? Answer with one of them only."
    }
    for item in items:
        assert item.label is not None
        assert classes[item.label] == item.answer
        assert item.verdict == ("right" if item.label == item.true_label else "wrong")
        assert item.counts == ()
    record = run.projection().record()
    (scores,) = record.scores
    right = sum(item.verdict == "right" for item in items) / len(items)
    assert scores.accuracy.value == pytest.approx(right)
    assert scores.ece is None
    assert (scores.subject, scores.images, scores.off_list) == ("fp32", 5, 0)
    assert record.passes[0].rows == ()


def test_the_datas_own_questions_are_matched_exactly_as_numbers_and_as_words(
    home: Home, digits_folder: Path, coco: Path, tmp_path: Path
) -> None:
    first = ask_digits(
        Home(tmp_path / "first"), digits_folder, dataset=str(coco), limit=1
    ).items()[0].answer  # fmt: skip
    rows = [("exact?", first), ("near?", str(float(first) * 1.04)), ("far?", "9999"),
            ("other?", f"{first} dogs")]  # fmt: skip
    table = tmp_path / "questions.csv"
    table.write_text(
        "image,question,answer\n" + "".join(f"0.png,{each},{answer}\n" for each, answer in rows)
    )
    run = ask_digits(
        home, digits_folder, dataset=str(table), images=str(coco.parent / "images"),
        prompts="questions", prompt="plain",
    )  # fmt: skip
    items = run.items()
    assert [item.question for item in items] == [question for question, _ in rows]
    assert [item.expected for item in items] == [answer for _, answer in rows]
    for item in items:
        assert item.expected is not None
        met = match(item.answer, item.expected)
        level = next(
            name
            for name, holds in (
                ("exact", met.exact), ("number", met.relaxed), ("contains", met.contains),
                ("none", True),
            )
            if holds
        )  # fmt: skip
        assert item.agreement == level
        assert item.verdict == ("right" if met.relaxed else "wrong")
    (scores,) = run.projection().record().answer_scores
    assert scores.questions == 4
    assert scores.exact.value <= scores.relaxed.value <= scores.contains.value < 1


def test_descriptions_are_kept_and_not_judged(home: Home, digits_folder: Path, coco: Path) -> None:
    run = ask_digits(
        home, digits_folder, dataset=str(coco), prompts="description", prompt="sentence"
    )
    items = run.items()
    assert [item.image for item in items] == [f"{index}.png" for index in range(IMAGES)]
    assert all(item.answer in DIGITS and item.verdict is None for item in items)
    (summary,) = run.projection().record().passes
    assert summary.asked is not None
    assert (summary.asked.questions, summary.asked.judged, summary.rows) == (IMAGES, 0, ())


def test_an_answer_is_told_while_it_grows(home: Home, digits_folder: Path, coco: Path) -> None:
    run = ask_digits(home, digits_folder, dataset=str(coco))
    asking, answering = run.events(Asking), run.events(Answering)
    first = run.items()[0]
    assert (asking[0].index, asking[0].question, asking[0].truth) == (0, first.question, 0)
    assert Path(asking[0].path).is_file()
    assert first.answer.startswith(answering[0].text)
    assert len(asking) < IMAGES * len(CLASSES)  # a fast model's questions are not all told
    run_so_far = run.projection()
    assert run_so_far.asking is None
    assert run_so_far.answer_speeds
