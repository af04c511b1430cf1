"""The steps of a fine-tuning one after the other, in one process: libraries are imported once."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("peft")
pytest.importorskip("transformers")

from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Answered, ItemLine, Record
from edgelab.run_folder import RunFolder
from edgelab.schema import convert
from edgelab.settings.finetune import FinetuneSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.steps import steps_of
from runners import finetune
from runners.finetuning.artifacts import Artifacts
from runners.finetuning.data import read_data
from tests.runners.finetuning.conftest import CHARTS, PROMPTS, write_classes


def run_steps(folder: RunFolder, settings: FinetuneSettings) -> RunRecord:
    """All steps of a run, as the supervisor would start them."""
    folder.path.mkdir(parents=True)
    spec = RunSpec(SPEC_VERSION, folder.id, 1, "test", 0.0, settings)
    folder.write_spec(spec)
    for step in steps_of(spec):
        finetune.run_step(folder.path, step.name)
    live = LiveRun(folder)
    live.advance()
    return live.projection.record()


def test_from_the_zero_shot_answers_to_the_merged_model(
    home: Home, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "prompts.toml").write_text(PROMPTS)
    raw = {
        "task": "finetune", "threads": 1, "max_new_tokens": 6, "precision": "nf4", "merge": "fp32",
        "model": str(checkpoints["paligemma"]), "dataset": str(write_classes(tmp_path / "images")),
        "prompts": str(tmp_path / "prompts.toml"), "lora": {"parts": ["llm", "projector"]},
        "schedule": {"learning_rate": 0.01, "epochs": 4},
    }  # fmt: skip
    folder = RunFolder(home.runs / "00000001")
    record = run_steps(folder, convert(raw, FinetuneSettings, "test"))
    subjects = [each.subject for each in record.scores]
    assert subjects == ["zero-shot first", "zero-shot second", "fine-tuned second"]
    assert all(each.images == 4 for each in record.scores)
    assert record.training is not None
    losses = [each.train_loss for each in record.training.epochs]
    assert losses[-1] < 0.7 * losses[0]
    assert (folder.artifacts / "merged" / "model.safetensors").is_file()
    assert any("merged in fp32" in each for each in record.warnings)


def test_questions_on_charts_from_the_zero_shot_answers_to_the_fine_tuned_ones(
    home: Home, checkpoints: dict[str, Path]
) -> None:
    (home.profiles / "datasets").mkdir(parents=True)
    (home.profiles / "datasets" / "few-charts.toml").write_text(CHARTS)
    raw = {
        "task": "finetune", "threads": 1, "max_new_tokens": 4, "max_pixels": 3136,
        "model": str(checkpoints["qwen2_vl"]), "dataset": "few-charts",
        "prompts": "chart-questions", "schedule": {"learning_rate": 0.01, "epochs": 2, "batch": 8},
    }  # fmt: skip
    folder = RunFolder(home.runs / "00000001")
    record = run_steps(folder, convert(raw, FinetuneSettings, "test"))
    asked = read_data(Artifacts(folder).data).splits["test"]
    assert len({each.image for each in asked}) == 4 < len(asked)
    assert {each.kind for each in asked} == record.answer_scores[0].by_kind.keys()
    assert [(each.subject, each.questions) for each in record.answer_scores] == [
        (subject, len(asked))
        for subject in ("zero-shot first", "zero-shot second", "zero-shot third",
                        "fine-tuned second")
    ]  # fmt: skip
    journal: JournalReader[Record] = JournalReader(folder.items, ItemLine)
    last = [
        each
        for each in journal.poll()
        if isinstance(each, Answered) and each.subject == "fine-tuned second"
    ]
    assert [each.question for each in last] == [f"answer en {each.question}" for each in asked]
    scored = record.answer_scores[-1]
    assert scored.relaxed.value == sum(each.verdict == "right" for each in last) / len(last)
    assert scored.unanswered == sum(each.verdict == "unanswered" for each in last)
    assert record.training is not None
    assert record.training.epochs[1].train_loss < record.training.epochs[0].train_loss
