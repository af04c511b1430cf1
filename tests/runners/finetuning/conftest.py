"""Tiny checkpoints, built once a session, and something to learn from."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgelab.settings.finetune import BasePrecision
from runners.images import Pixels

FAMILIES = ("paligemma", "paligemma2", "qwen2_vl")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder a family."""
    pytest.importorskip("peft")
    pytest.importorskip("transformers")
    from tests.runners import tiny_vlms

    root = tmp_path_factory.mktemp("checkpoints")
    return {
        "paligemma": tiny_vlms.build_paligemma(root / "paligemma"),
        "paligemma2": tiny_vlms.build_paligemma(root / "paligemma2", generation=2),
        "qwen2_vl": tiny_vlms.build_qwen2_vl(root / "qwen2_vl"),
    }


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def load(checkpoints: dict[str, Path]) -> Callable[..., Any]:
    """A base model of a family as it was loaded: a copy each time, for adapters change it."""

    @cache
    def loaded(family: str, precision: BasePrecision) -> Any:
        from runners.finetuning.base_model import load_base

        return load_base(checkpoints[family], precision)

    def copied(family: str, precision: BasePrecision = BasePrecision.FP32) -> Any:
        base = loaded(family, precision)
        return replace(base, model=deepcopy(base.model))

    return copied


def picture(colour: int) -> Pixels:
    """A flat image, 40x30 px, whose colour tells what is to be learned."""
    return np.full((30, 40, 3), colour, np.uint8)


QUESTION = "dark or light?"
COLOURS = {"dark": 20, "light": 235}


PROMPTS = """
schema_version = 1
title = "dark or light"
learns = "class"
[prompts]
first = "dark or light?"
second = "{labels}?"
"""


CHARTS = """
schema_version = 1
kind = "generated"
title = "a few charts"
generator = "charts"
[drawing]
seed = 1
image_size = 64
types = ["bar", "pie"]
[images]
train = 6
val = 2
test = 4
"""


def write_classes(folder: Path, each: int = 8) -> Path:
    """A folder a class of noisy images, 20 px: one dark, the other light."""
    random = np.random.default_rng(0)
    for name, level in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(each):
            pixels = np.clip(random.normal(level, 10, (20, 20, 3)), 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(folder / name / f"{index}.png"), pixels)
    return folder
