"""Loading the model that is fine-tuned: its weights, in the base's precision, and its processor."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    utils,
)

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.finetune import BasePrecision, FinetuneSettings
from runners.asking.checkpoint import find_checkpoint
from runners.finetuning.parts import PATTERNS

_FORMATS = {BasePrecision.BF16: torch.bfloat16}


@dataclass(frozen=True)
class BaseModel:
    """A loaded model in evaluation mode, its processor, and its architecture's `model_type`."""

    model: Any
    processor: Any
    model_type: str


def load_base(
    source: str,
    precision: BasePrecision,
    max_pixels: int | None = None,
) -> BaseModel:
    """Load a local folder. Raises Problem where it is no model that can be tuned.

    Only safetensors are read and no code of a repository is run. INT8 and NF4 are bitsandbytes',
    with FP32 as compute format: on a CPU half precision would be slower and less exact.
    `max_pixels` bounds what Qwen2-VL sees of an image: it spends a token on 784 px.
    """
    try:
        config = AutoConfig.from_pretrained(source)
        _check_architecture(source, config.model_type)
        processor = AutoProcessor.from_pretrained(source)
        model = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=_FORMATS.get(precision, torch.float32),
            quantization_config=_quantisation(precision),
            device_map=_device(),
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError) as error:
        raise Problem(_why_not(source, error)) from None
    if max_pixels is not None:
        _bound_pixels(processor, config.model_type, max_pixels)
    gc.collect()  # what the loader held beside the weights
    return BaseModel(model.eval(), processor, config.model_type)


def load_for(settings: FinetuneSettings, home: Home) -> BaseModel:
    """The model that a run asks for, by its catalogue name, its folder, or its hub id."""
    torch.set_num_threads(settings.threads)
    utils.logging.disable_progress_bar()  # the log is a file
    folder = find_checkpoint(settings.model, settings.revision, home).folder
    return load_base(str(folder), settings.precision, settings.max_pixels)


def _check_architecture(source: str, model_type: str) -> None:
    if model_type not in PATTERNS:
        raise Problem(
            f"{source}: a {model_type!r} model: fine-tuning knows {', '.join(sorted(PATTERNS))}"
        )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _quantisation(precision: BasePrecision) -> BitsAndBytesConfig | None:
    if precision is BasePrecision.NF4:
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        )
    return BitsAndBytesConfig(load_in_8bit=True) if precision is BasePrecision.INT8 else None


def _bound_pixels(processor: Any, model_type: str, max_pixels: int) -> None:
    if model_type != "qwen2_vl":
        raise Problem("max_pixels is for Qwen2-VL: a PaliGemma's image size is fixed by its name")
    images = processor.image_processor
    least = min(images.size["shortest_edge"], max_pixels)
    images.size = {"shortest_edge": least, "longest_edge": max_pixels}


def _why_not(source: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    return f"{source}: cannot be loaded ({reason})"
