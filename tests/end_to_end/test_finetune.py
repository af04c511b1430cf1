"""Fine-tuning with the real command line and supervisor; killed, it ends as if it were not.

A process that trains needs seconds to import its libraries, so what the steps do is tested in
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
from tests.runners.finetuning.conftest import PROMPTS, write_classes


def test_killed_and_resumed_it_is_the_same_training(edgelab: CommandLine, tmp_path: Path) -> None:
    from tests.runners.tiny_vlms import build_paligemma

    (tmp_path / "prompts.toml").write_text(PROMPTS)
    cut = edgelab.json(
        "run", "finetune", "--model", str(build_paligemma(tmp_path / "model")),
        "--dataset", str(write_classes(tmp_path / "images")),
        "--prompts", str(tmp_path / "prompts.toml"), "--no-zero-shot", "--checkpoint", "0",
        "--lora", "llm,vision,projector", "--learning-rate", "0.01", "--epochs", "4",
        "--max-new-tokens", "6", "--threads", "1", "--detach",
    )["run"]  # fmt: skip
    live = edgelab.live(cut)

    def learning() -> bool:
        live.advance()
        return live.projection.training is not None and live.projection.training.steps >= 3

    eventually(learning)
    os.kill(live.projection.runner_pid or 0, signal.SIGKILL)
    assert eventually(over(live)) is Outcome.KILLED
    resumed = edgelab.json("resume", cut)
    assert resumed["outcome"] == "finished", resumed["reason"]
    whole = uninterrupted(live.folder)
    for adapter in ("best", "last"):
        one, other = (
            each.artifacts / "adapter" / adapter / WEIGHTS for each in (whole, live.folder)
        )
        assert one.read_bytes() == other.read_bytes()
    assert curves(edgelab, whole) == curves(edgelab, live.folder)


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
