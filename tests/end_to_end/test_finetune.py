"""Fine-tuning with the real command line and supervisor; killed, it ends as if it were not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("peft")
pytest.importorskip("transformers")

from edgelab.records import Outcome
from runners.finetuning.adapter import WEIGHTS
from tests.end_to_end.conftest import CommandLine, eventually, over

PROMPTS = """
schema_version = 1
title = "dark or light"
learns = "class"
[prompts]
first = "dark or light?"
second = "{labels}?"
"""


@pytest.fixture
def finetune(tmp_path: Path) -> tuple[str, ...]:
    from tests.runners.tiny_vlms import build_paligemma

    random = np.random.default_rng(0)
    for name, level in (("dark", 30), ("light", 220)):
        for index in range(8):
            path = tmp_path / "images" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(random.normal(level, 10, (20, 20, 3)), 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(path), pixels)
    (tmp_path / "prompts.toml").write_text(PROMPTS)
    return (
        "run", "finetune", "--model", str(build_paligemma(tmp_path / "model")),
        "--dataset", str(tmp_path / "images"), "--prompts", str(tmp_path / "prompts.toml"),
        "--lora", "llm,vision,projector", "--learning-rate", "0.01", "--epochs", "4",
        "--batch", "4", "--max-new-tokens", "6", "--threads", "1", "--precision", "nf4",
    )  # fmt: skip


def test_killed_and_resumed_it_is_the_same_training(
    edgelab: CommandLine, finetune: tuple[str, ...]
) -> None:
    quick = (*finetune, "--no-zero-shot", "--checkpoint", "0")
    whole = edgelab.json(*quick)
    assert whole["outcome"] == "finished", whole["reason"]
    cut = edgelab.json(*quick, "--detach")["run"]
    live = edgelab.live(cut)

    def learning() -> bool:
        live.advance()
        return live.projection.training is not None and live.projection.training.steps >= 3

    eventually(learning)
    os.kill(live.projection.runner_pid or 0, signal.SIGKILL)
    assert eventually(over(live)) is Outcome.KILLED
    resumed = edgelab.json("resume", cut)
    assert resumed["outcome"] == "finished", resumed["reason"]
    for adapter in ("best", "last"):
        one, other = (
            edgelab.home.runs / run / "artifacts" / "adapter" / adapter / WEIGHTS
            for run in (whole["run"], cut)
        )
        assert one.read_bytes() == other.read_bytes()
    curves = [
        [row.split(",")[1:3] + row.split(",")[4:] for row in rows.splitlines()[1:]]
        for rows in (
            edgelab("export", run, "--csv", "-", "--curves") for run in (whole["run"], cut)
        )
    ]
    assert curves[0] == curves[1]


def test_from_the_zero_shot_answers_to_the_merged_model(
    edgelab: CommandLine, finetune: tuple[str, ...]
) -> None:
    result = edgelab.json(*finetune, "--merge", "fp32")
    assert result["outcome"] == "finished", result["reason"]
    record = edgelab.json("show", result["run"])
    scores = record["scores"]
    subjects = [each["subject"] for each in scores]
    assert subjects == ["zero-shot first", "zero-shot second", "fine-tuned second"]
    assert all(each["images"] == 4 for each in scores)
    losses = [each["train_loss"] for each in record["training"]["epochs"]]
    assert losses[-1] < 0.7 * losses[0]
    merged = edgelab.home.runs / result["run"] / "artifacts" / "merged"
    assert (merged / "model.safetensors").is_file()
    assert any("merged in fp32" in each for each in result["warnings"])
