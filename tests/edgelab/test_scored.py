"""What trainings attained: rows, CSV, and beside the published table."""

from __future__ import annotations

import csv

import pytest

from edgelab.catalogue import Catalogue
from edgelab.comparison import compare
from edgelab.export import results_csv, scores_csv
from edgelab.learned import answer_rows, scored_table
from edgelab.record import RECORD_VERSION, RunRecord
from edgelab.records import AnswerScores, Interval, Outcome
from edgelab.result_table import table_of_runs
from edgelab.scored import scored_rows
from edgelab.settings.finetune import FinetuneSettings
from edgelab.spec import SPEC_VERSION, RunSpec, Settings
from edgelab.study import expand
from tests.edgelab.published import NOBODY, published
from tests.recorded_training import scores

SHARE = Interval(0.5, 0.4, 0.6)


def record(settings: Settings, number: int, *subjects: str) -> RunRecord:
    spec = RunSpec(SPEC_VERSION, f"{number:08x}", number, "t", 0.0, settings)
    found = tuple(map(scores, subjects))
    return RunRecord(RECORD_VERSION, spec, Outcome.FINISHED, scores=found)


def plan() -> tuple[Settings, ...]:
    entry = Catalogue(NOBODY).study("chart-classification")
    assert entry is not None
    return expand(entry.require(), "chart-classification")


def carried_out() -> list[RunRecord]:
    """All runs of the study, those that ask first by four prompts."""
    found = []
    for number, settings in enumerate(plan(), 1):
        assert isinstance(settings, FinetuneSettings)
        prompts = ("first", "second", "third", "fourth") if settings.zero_shot else ()
        before = [f"zero-shot {prompt}" for prompt in prompts]
        found.append(record(settings, number, *before, "fine-tuned second"))
    return found


def test_the_study_is_three_checkpoints_with_the_vision_tower_trained_or_not() -> None:
    runs = [run for run in plan() if isinstance(run, FinetuneSettings)]
    assert [(run.model, run.precision.value, run.trains_vision, run.zero_shot) for run in runs] == [
        ("paligemma-3b-ft-vqav2-448", "nf4", False, True),
        ("paligemma-3b-ft-vqav2-448", "nf4", True, False),
        ("paligemma-3b-pt-448", "nf4", False, True),
        ("paligemma-3b-pt-448", "nf4", True, False),
        ("paligemma2-3b-pt-448", "bf16", False, True),
        ("paligemma2-3b-pt-448", "bf16", True, False),
    ]


def test_each_fine_tuned_row_stands_beside_its_published_one() -> None:
    compared = compare(table_of_runs("ours", carried_out()), published("chart-classification"))
    beside = {
        row.left.name: row.right.variant["label"]
        for row in compared.rows
        if row.left is not None and row.right is not None
    }
    assert beside == {
        "paligemma-3b-ft-vqav2-448 zero-shot first nf4": "Model 1",
        "paligemma-3b-ft-vqav2-448 zero-shot second nf4": "Model 1",
        "paligemma-3b-ft-vqav2-448 zero-shot third nf4": "Model 1",
        "paligemma-3b-ft-vqav2-448 zero-shot fourth nf4": "Model 1",
        "paligemma-3b-ft-vqav2-448 fine-tuned second no nf4": "Model 2",
        "paligemma-3b-ft-vqav2-448 fine-tuned second yes nf4": "Model 2 - V2",
        "paligemma-3b-pt-448 fine-tuned second no nf4": "Model 3",
        "paligemma-3b-pt-448 fine-tuned second yes nf4": "Model 3 - V2",
        "paligemma2-3b-pt-448 fine-tuned second no bf16": "Model 4",
        "paligemma2-3b-pt-448 fine-tuned second yes bf16": "Model 4 - V2",
    }
    first = next(row for row in compared.rows if row.left is not None)
    assert first.ratio("accuracy") == pytest.approx(0.8 / 0.4919)


def questions(number: int = 1) -> RunRecord:
    settings = FinetuneSettings(model="qwen2-vl-2b", dataset="charts")
    spec = RunSpec(SPEC_VERSION, f"{number:08x}", number, "t", 0.0, settings)
    found = AnswerScores(
        1.0, "zero-shot second", "test", 40, SHARE, SHARE, SHARE, 3, {"value": 0.25, "title": 0.5}
    )
    return RunRecord(RECORD_VERSION, spec, Outcome.FINISHED, answer_scores=(found,))


def test_answers_without_a_class_and_no_answers_are_counted_apart() -> None:
    classified = record(plan()[0], 2, "zero-shot second")
    titles, cells = scored_table([*scored_rows(questions()), *scored_rows(classified)])
    rows = [dict(zip(titles, row, strict=True)) for row in cells]
    assert (rows[0]["off-list"], rows[0]["no answer"], rows[0]["asked"]) == ("–", "3", "40")
    assert (rows[1]["off-list"], rows[1]["no answer"], rows[1]["asked"]) == ("0", "0", "30")
    assert rows[0]["relaxed"] == "0.500 (0.400-0.600)"
    assert rows[1]["relaxed"] == "–"
    assert answer_rows(questions())[0][-1] == "title 0.500, value 0.250"


def test_scores_are_exported_with_their_intervals() -> None:
    runs = [questions(), *carried_out()]
    (first, *rest) = csv.DictReader(scores_csv(runs).splitlines())
    assert len(rest) == 18
    assert (first["relaxed"], first["relaxed_low"], first["relaxed_value"]) == (
        "0.5",
        "0.4",
        "0.25",
    )
    assert (first["accuracy"], first["off_list"], first["unanswered"]) == ("", "", "3")
    assert rest[4]["vision_tower_trained"] == "no"
    assert results_csv(runs) == scores_csv(runs), "none of them has a pass"
