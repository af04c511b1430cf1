"""The model that is fine-tuned: its weights, in the base's precision, and its processor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoProcessor, utils

from edgelab.home import Home
from edgelab.settings.common import Precision
from edgelab.settings.finetune import BasePrecision, FinetuneSettings
from runners.asking.checkpoint import find_checkpoint
from runners.finetuning.parts import must_be_tunable
from runners.memory import give_memory_back
from runners.vlm.families import Seeing, look
from runners.vlm.four_bit import never_pack
from runners.vlm.loading import load_network, refusals_as_problems


@dataclass(frozen=True)
class BaseModel:
    """A loaded model in evaluation mode, its processor, and its architecture's `model_type`."""

    model: Any
    processor: Any
    model_type: str


def load_base(folder: Path, precision: BasePrecision, max_pixels: int | None = None) -> BaseModel:
    """Load a checkpoint. Raises Problem where it is none, or none that can be tuned.

    `max_pixels` bounds what Qwen2-VL sees of an image: it spends a token on 784 px.
    """
    with refusals_as_problems(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        must_be_tunable(folder, config.model_type)
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        model = load_network(folder, Precision(precision.value))
    never_pack(model)
    look(config.model_type, processor, Seeing(max_pixels))
    give_memory_back()
    return BaseModel(model, processor, config.model_type)


def load_for(settings: FinetuneSettings, home: Home) -> BaseModel:
    """The model that a run asks for, by its catalogue name, its folder, or its hub id."""
    torch.set_num_threads(settings.threads)
    utils.logging.disable_progress_bar()  # the log is a file
    folder = find_checkpoint(settings.model, settings.revision, home).folder
    return load_base(folder, settings.precision, settings.max_pixels)
