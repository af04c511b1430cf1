"""LoRA adapters through peft: put into a model, saved, loaded again, merged.

An adapter folder is peft's own: `adapter_config.json` and `adapter_model.safetensors`.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open

from edgelab.durable import replace_file
from edgelab.problem import Problem
from edgelab.schema import convert, read_json
from edgelab.settings.finetune import Lora
from runners.finetuning.parts import pattern

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


class AdapterConfig(msgspec.Struct, frozen=True):
    """What is checked of peft's `adapter_config.json` before peft reads it."""

    peft_type: Literal["LORA"]
    r: int
    lora_alpha: float
    target_modules: str | list[str]


def add_adapters(model: Any, lora: Lora) -> PeftModel:
    """The model with untrained adapters in the parts asked for; all else is frozen.

    B is zero at first, so that the logits are still those of the base. Adapters of a half-precision
    base are kept in FP32.
    """
    names = [name for name, _ in model.named_modules()]
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=pattern(model.config.model_type, lora.parts, names),
        bias="none",
        task_type="CAUSAL_LM",
    )
    adapted: PeftModel = get_peft_model(model, config)
    return adapted


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the adapter's files, each whole or not at all; raises OSError and keeps the old one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving.", dir=folder) as made:
        with full_disk_named(folder):
            model.save_pretrained(made, safe_serialization=True)
        for name in (CONFIG, WEIGHTS):
            replace_file(folder / name, Path(made, name).read_bytes())


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """A full disk as the OSError that it is: safetensors words it its own way."""
    try:
        yield
    except SafetensorError as error:
        if os.strerror(errno.ENOSPC) in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from None
        raise


def load_adapter(model: Any, folder: Path, *, trainable: bool = False) -> PeftModel:
    """The base model with the adapter of `folder`; raises Problem where it is none or fits not."""
    held = check_adapter(folder)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise Problem(f"{folder}: the adapter does not fit this model ({reason[:300]})") from None
    wanted = get_peft_model_state_dict(adapted).keys()
    if wanted != held:  # peft only warns, and leaves the missing ones as they were made
        missing = min(wanted ^ held)
        raise Problem(f"{folder}: the adapter does not fit this model ({missing} is in one only)")
    return adapted


def check_adapter(folder: Path) -> set[str]:
    """The names of an adapter's tensors; raises Problem naming file and fault.

    Only safetensors are taken: an `adapter_model.bin` is a pickle, which can run code.
    """
    convert(read_json(folder / CONFIG, dict), AdapterConfig, str(folder / CONFIG))
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise Problem(f"{folder}: no {WEIGHTS} in it (pickled .bin adapters are not loaded)")
    try:
        with safe_open(str(weights), framework="pt") as file:
            return set(file.keys())
    except (SafetensorError, OSError) as error:
        raise Problem(f"{weights}: not a whole safetensors file ({error})") from None


def merge(model: PeftModel) -> Any:
    """The base model with the adapter added into its weights: W + (alpha / rank) B A.

    Raises Problem for a quantised base: each merged weight would be rounded to its 4 or 8 bits, and
    the answers would no longer be those of the fine-tuned model.
    """
    if getattr(model.base_model.model, "is_quantized", False):
        raise Problem(
            "an adapter is not merged into a quantised base, rounding would change its answers: "
            "load the base in fp32 or bf16, then merge"
        )
    return model.merge_and_unload(safe_merge=True)
