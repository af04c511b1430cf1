"""The steps of a fine-tuning one after the other, in one process: libraries are imported once."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")
pytest.importorskip("transformers")

from edgelab.catalogue import Catalogue
from edgelab.cli import parser
from edgelab.cli import run as command_line
from edgelab.cli.tasks import finetune as finetune_task
from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Answered, ItemLine, Record
from edgelab.run_folder import RunFolder
from edgelab.schema import convert
from edgelab.settings.finetune import FinetuneSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.steps import DISK_FULL_EXIT, PREPARE, TRAIN_STEP, steps_of
from runners import finetune
from runners.finetuning import prepare
from runners.finetuning.adapter import WEIGHTS
from runners.finetuning.artifacts import Artifacts
from runners.finetuning.data import read_data
from runners.step import FAILED_EXIT
from tests.runners.finetuning.conftest import CHARTS, PROMPTS, write_classes


def settings_of(raw: dict[str, Any]) -> FinetuneSettings:
    return convert({"task": "finetune", "threads": 1, **raw}, FinetuneSettings, "test")


def write_run(folder: RunFolder, settings: FinetuneSettings) -> RunSpec:
    """A run that no step was done of."""
    folder.path.mkdir(parents=True)
    spec = RunSpec(SPEC_VERSION, folder.id, 1, "test", 0.0, settings)
    folder.write_spec(spec)
    return spec


def run_steps(folder: RunFolder, settings: FinetuneSettings) -> RunRecord:
    """All steps of a run, as the supervisor would start them."""
    for step in steps_of(write_run(folder, settings)):
        finetune.run_step(folder.path, step.name)
    return projection_of(folder).record()


def projection_of(folder: RunFolder) -> RunProjection:
    live = LiveRun(folder)
    live.advance()
    return live.projection


def test_from_the_zero_shot_answers_to_the_merged_model(
    home: Home, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "prompts.toml").write_text(PROMPTS)
    raw = {
        "max_new_tokens": 6, "precision": "nf4", "merge": "fp32",
        "model": str(checkpoints["paligemma"]), "dataset": str(write_classes(tmp_path / "images")),
        "prompts": str(tmp_path / "prompts.toml"), "lora": {"parts": ["llm", "projector"]},
        "schedule": {"learning_rate": 0.01, "epochs": 4},
    }  # fmt: skip
    folder = RunFolder(home.runs / "00000001")
    record = run_steps(folder, settings_of(raw))
    subjects = [each.subject for each in record.scores]
    assert subjects == ["zero-shot first", "zero-shot second", "fine-tuned second"]
    assert all(each.images == 4 for each in record.scores)
    assert record.training is not None
    losses = [each.train_loss for each in record.training.epochs]
    assert losses[-1] < 0.7 * losses[0]
    assert (folder.artifacts / "merged" / "model.safetensors").is_file()
    assert any("merged in fp32" in each for each in record.warnings)


def test_questions_on_charts_from_the_zero_shot_answers_to_the_fine_tuned_ones(
    home: Home, checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (home.profiles / "datasets").mkdir(parents=True)
    (home.profiles / "datasets" / "few-charts.toml").write_text(CHARTS)
    options = parser().parse_args([
        "run", "finetune", "--model", str(checkpoints["qwen2_vl"]), "--dataset", "few-charts",
        "--prompts", "chart-questions", "--max-pixels", "3136", "--max-new-tokens", "4",
        "--learning-rate", "0.01", "--epochs", "2", "--batch", "8", "--threads", "1",
        "--tensorboard",
    ])  # fmt: skip
    settings, _ = finetune_task.settings(options, Catalogue(home))
    folder = RunFolder(home.runs / "00000001")
    record = run_steps(folder, settings)
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

    assert list(Artifacts(folder).tensorboard.glob("events.out.tfevents.*"))
    assert command_line(["export", folder.id, "--csv", "-"]) == 0
    rows = {(row["training"], row["prompt"]): row
            for row in csv.DictReader(capsys.readouterr().out.splitlines())}  # fmt: skip
    row = rows["fine-tuned", "second"]
    assert len(rows) == 4
    assert int(row["asked"]) == scored.questions > 4
    assert float(row["relaxed"]) == scored.relaxed.value
    assert int(row["unanswered"]) == scored.unanswered
    assert command_line(["show", folder.id]) == 0
    said = capsys.readouterr().out
    assert "by kind" in said
    assert all(kind in said for kind in scored.by_kind)


# What can go wrong ----------------------------------------------------------------------------


@pytest.fixture
def quick(checkpoints: dict[str, Path], tmp_path: Path) -> dict[str, Any]:
    """Three steps an epoch, a checkpoint after each."""
    return {
        "model": str(checkpoints["paligemma"]), "dataset": str(write_classes(tmp_path / "images")),
        "zero_shot": False, "schedule": {"learning_rate": 0.01, "epochs": 2, "checkpoint_s": 0},
    }  # fmt: skip


def ends_with(code: int, folder: RunFolder, step: str) -> str:
    """Run a step that gives up with this code; what it says."""
    with pytest.raises(SystemExit) as ended:
        finetune.run_step(folder.path, step)
    assert ended.value.code == code
    return projection_of(folder).failure or ""


def test_a_full_disk_is_named_and_the_training_goes_on_where_it_was(
    home: Home, quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, whole = (RunFolder(home.runs / name) for name in ("00000001", "00000002"))
    for folder in (cut, whole):
        write_run(folder, settings_of(quick))
        finetune.run_step(folder.path, PREPARE)
    finetune.run_step(whole.path, TRAIN_STEP)

    sync, synced = os.fsync, []

    def fills(descriptor: int) -> None:
        if ".checkpoint.pt." in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            synced.append(descriptor)
            if len(synced) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr("edgelab.durable.os.fsync", fills)
    said = ends_with(DISK_FULL_EXIT, cut, TRAIN_STEP)
    assert said == f"disk full: {Artifacts(cut).checkpoint} could not be written"
    monkeypatch.undo()
    finetune.run_step(cut.path, TRAIN_STEP)
    training = projection_of(cut).training
    assert training is not None
    assert training.started.resumed_at == 2
    one, other = (Artifacts(each).last / WEIGHTS for each in (cut, whole))
    assert one.read_bytes() == other.read_bytes()


def test_a_loss_that_is_no_number_is_named_with_its_images(
    home: Home, quick: dict[str, Any]
) -> None:
    folder = RunFolder(home.runs / "00000001")
    changed = {**quick, "schedule": {"learning_rate": 1e30, "checkpoint_s": 0}}
    write_run(folder, settings_of(changed))
    finetune.run_step(folder.path, PREPARE)
    said = ends_with(FAILED_EXIT, folder, TRAIN_STEP)
    assert "the loss is nan" in said
    assert "lower the learning rate" in said
    assert ".png" in said
    assert Artifacts(folder).checkpoint.is_file()


def test_an_image_that_broke_since_it_was_prepared_is_named(
    home: Home, quick: dict[str, Any]
) -> None:
    folder = RunFolder(home.runs / "00000001")
    write_run(folder, settings_of(quick))
    finetune.run_step(folder.path, PREPARE)
    image = Path(read_data(Artifacts(folder).data).splits["train"][0].image)
    image.write_bytes(image.read_bytes()[:40])
    assert ends_with(FAILED_EXIT, folder, TRAIN_STEP).startswith(f"{image}: ")


def test_a_missing_library_is_found_before_anything_is_learned(
    home: Home, quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(home.runs / "00000001")
    write_run(folder, settings_of(quick))
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
    said = ends_with(FAILED_EXIT, folder, PREPARE)
    assert said.startswith("fine-tuning needs torch, which is not installed: pip install")
    assert "edgelab[finetune]" in said


def test_a_model_that_cannot_be_tuned_is_named_before_the_data_are_read(
    home: Home, quick: dict[str, Any], tmp_path: Path
) -> None:
    other = shutil.copytree(quick["model"], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "idefics3"}))
    folder = RunFolder(home.runs / "00000001")
    write_run(folder, settings_of({**quick, "model": str(other), "dataset": "nowhere"}))
    said = ends_with(FAILED_EXIT, folder, PREPARE)
    assert "a 'idefics3' model: fine-tuning knows paligemma, qwen2_vl" in said
