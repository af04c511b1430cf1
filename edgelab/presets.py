"""Runs that need no choices."""

from __future__ import annotations

from typing import NamedTuple

from edgelab.machine import usable_cores
from edgelab.settings.ask import AskSettings
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import DETECTOR_PRECISIONS
from edgelab.settings.detect import DetectSettings
from edgelab.settings.finetune import BasePrecision, FinetuneSettings
from edgelab.settings.train import Augmentation, TrainSettings

QUICK_MODEL = "yolov8n-shapes"
TRAINED_MODEL = "vit-tiny-3"
TRAINED_DATASET = "charts"
TUNED_MODEL = "paligemma-3b-pt-448"
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


def classify() -> ClassifySettings:
    """What the console begins with where a classifier is chosen."""
    return ClassifySettings(
        model="vit-tiny-3-charts",
        dataset=TRAINED_DATASET,
        precisions=DETECTOR_PRECISIONS,
        threads=usable_cores(),
    )


def training(threads: int | None = None) -> TrainSettings:
    """A training that ends within minutes on a small machine: what vit-tiny-3-charts came from."""
    return TrainSettings(
        model=TRAINED_MODEL,
        dataset=TRAINED_DATASET,
        threads=threads or usable_cores(),
        image_size=64,
        patch_size=8,
        epochs=16,
        patience=6,
        learning_rate=5e-4,
        pretrained=False,
        augmentation=Augmentation(rotation=5.0),
    )


def finetuning(threads: int | None = None) -> FinetuneSettings:
    """A fine-tuning of the published study: the language model's adapters on a 4-bit base."""
    return FinetuneSettings(
        model=TUNED_MODEL,
        dataset=TRAINED_DATASET,
        threads=threads or usable_cores(),
        precision=BasePrecision.NF4,
    )
