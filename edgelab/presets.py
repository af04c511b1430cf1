"""Runs that need no choices."""

from __future__ import annotations

from typing import NamedTuple

from edgelab.machine import usable_cores
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import DETECTOR_PRECISIONS
from edgelab.settings.detect import DetectSettings

QUICK_MODEL = "yolov8n-shapes"
QUICK_DATASET = "shapes"


class Kind(NamedTuple):
    """What can be asked for: the shipped prompts, one of them, and how long answers may be."""

    prompts: str
    prompt: str
    max_new_tokens: int = 16


KINDS = {
    "count": Kind("counting", "plural"),
    "classify": Kind("classes", "choose"),
    "describe": Kind("description", "sentence", 64),
    "question": Kind("questions", "short"),
}


def quick(threads: int | None = None, limit: int | None = None) -> tuple[DetectSettings, str]:
    """The quick benchmark and its title: the embedded detector in all precisions."""
    settings = DetectSettings(
        model=QUICK_MODEL,
        dataset=QUICK_DATASET,
        precisions=DETECTOR_PRECISIONS,
        thresholds=(0.3, 0.5, 0.7),
        threads=threads or usable_cores(),
        limit=limit,
    )
    return settings, "quick benchmark"


def ask() -> AskSettings:
    """What the console begins with where a vision-language model is chosen: a short count."""
    return AskSettings(
        model="smolvlm-256m", dataset=QUICK_DATASET, threads=usable_cores(), limit=10
    )
