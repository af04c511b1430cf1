"""Asking with the real runner: SmolVLM's ONNX files, which need no torch, and every family."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgelab.answers import Number, parse_count
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import DatasetFacts, ModelFacts, PassEnded, PassStarted
from edgelab.records import Warning as WarningRecord
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from tests.runners.asked_run import IMAGES, AskedRun, write_coloured_cells
from tests.runners.colour_detector import CLASSES

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

from runners.asking.checkpoint import TORCH_PRECISIONS
from runners.smolvlm.export import export
from tests.runners import tiny_vlms as tiny
from tests.runners.tiny_smolvlm import build_smolvlm

ONNX_PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.Q4)


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
    answers = {}
    for share in (True, False):
        run = AskedRun.new(
            Home(tmp_path / str(share)), model=str(onnx_folder), dataset=str(coco),
            share_encoding=share,
        )  # fmt: skip
        run.run()
        answers[share] = [(item.question, item.answer) for item in run.items()]
        shared = [item.stages.vision_shared for item in run.items() if item.stages]
        assert any(shared) == share
    assert answers[True] == answers[False]


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


@pytest.mark.parametrize("family", ["smolvlm", "qwen2_vl", "qwen2_5_vl", "paligemma", "mobilevlm"])
def test_every_family_is_asked(home: Home, coco: Path, tmp_path: Path, family: str) -> None:
    folder = getattr(tiny, f"build_{family}")(tmp_path / family)
    precisions = TORCH_PRECISIONS if family == "smolvlm" else (Precision.FP32,)
    run = AskedRun.new(home, model=str(folder), dataset=str(coco), limit=1, precisions=precisions)
    run.run()
    items = run.items()
    assert len(items) == len(CLASSES) * len(precisions)
    assert all(item.error is None and item.stages is not None for item in items)
    assert [item.stages.vision_shared for item in items if item.stages] == (
        [False, True, True] * len(precisions)
    )
    for facts in run.events(ModelFacts):
        assert facts.precision.value in facts.executed.words
        assert "torch" in facts.runtime
        assert ("bitsandbytes" in facts.runtime) == (facts.precision.value in ("int8", "nf4"))
