"""Fine-tuning with the real command line and supervisor; killed, it ends as if it were not.

A process that trains needs seconds to import its libraries: what the steps do is tested in
tests/runners/finetuning/test_steps.py, and here only what needs processes.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

pytest.importorskip("peft")
pytest.importorskip("transformers")

from edgelab.records import Outcome
from edgelab.run_folder import RunFolder
from edgelab.steps import TRAIN_STEP
from runners import finetune
from runners.finetuning.adapter import WEIGHTS
from tests.end_to_end.conftest import CommandLine, eventually, over
from tests.runners.finetuning.conftest import write_classes

MODEL = "paligemma-3b-pt-448"


@pytest.fixture
def study(edgelab: CommandLine, tmp_path: Path) -> tuple[str, ...]:
    """One of the study's models, tiny and on this disk, its vision tower frozen and trained."""
    from tests.runners.tiny_vlms import build_paligemma

    hub = edgelab.home.profiles / "hub"
    hub.mkdir(parents=True)
    folder = build_paligemma(tmp_path / "tiny")
    (hub / f"{MODEL}.toml").write_text(
        f'schema_version = 1\ntitle = "tiny"\nrepository = "{folder}"\n'
    )
    settings = {
        "zero_shot": "false", "max_new_tokens": "6", "schedule.epochs": "4",
        "schedule.checkpoint_s": "0", "schedule.learning_rate": "0.01",
    }  # fmt: skip
    return (
        "study", "chart-classification", "--model", MODEL, "--precision", "nf4",
        "--dataset", str(write_classes(tmp_path / "images")), "--threads", "1",
        *(word for each in settings.items() for word in ("--set", "=".join(each))),
    )  # fmt: skip


def test_a_study_killed_while_it_trains_ends_as_if_it_were_not(
    edgelab: CommandLine, study: tuple[str, ...]
) -> None:
    begun = edgelab.json(*study, "--detach")
    frozen, trained = (RunFolder(edgelab.home.runs / each) for each in begun["runs"])
    eventually(trained.spec_file.exists)
    live = edgelab.live(trained.id)

    def learning() -> bool:
        live.advance()
        return live.projection.training is not None and live.projection.training.steps >= 3

    eventually(learning)
    os.kill(live.projection.runner_pid or 0, signal.SIGKILL)
    assert eventually(over(live)) is Outcome.KILLED
    ended = edgelab.json("study", begun["study"], "--resume")
    assert [each["outcome"] for each in ended["runs"]] == ["finished", "finished"]
    assert [each["vision_tower_trained"] for each in ended["scores"]] == ["no", "yes"]
    whole = uninterrupted(trained)
    for adapter in ("best", "last"):
        one, other = (each.artifacts / "adapter" / adapter / WEIGHTS for each in (whole, trained))
        assert one.read_bytes() == other.read_bytes()
    assert curves(edgelab, whole) == curves(edgelab, trained)
    assert curves(edgelab, frozen) != curves(edgelab, trained)

    beside = edgelab.json("compare", f"study:{begun['study']}", "reference:chart-classification")
    published = [row["accuracy_b"] for row in beside["rows"] if row["accuracy_a"] is not None]
    assert published == [0.4797, 0.6956]  # Model 3 and Model 3 - V2


def uninterrupted(run: RunFolder) -> RunFolder:
    """The same run's training, done in one go in this process."""
    whole = RunFolder(run.path.with_name("0" * 8))
    whole.artifacts.mkdir(parents=True)
    whole.write_spec(replace(run.read_spec(), id=whole.id))
    shutil.copy(run.artifacts / "data.json", whole.artifacts)
    finetune.run_step(whole.path, TRAIN_STEP)
    return whole


def curves(edgelab: CommandLine, run: RunFolder) -> list[list[str]]:
    """The exported curve without the run's id and times."""
    rows = edgelab("export", run.id, "--csv", "-", "--curves").splitlines()[1:]
    return [row.split(",")[1:3] + row.split(",")[4:] for row in rows]
