"""Merging the best adapter into an unquantised base, and proving that the answers stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.finetune import BasePrecision, FinetuneSettings
from runners.finetuning.adapter import full_disk_named, load_adapter, merge
from runners.finetuning.artifacts import Artifacts
from runners.finetuning.base_model import load_for
from runners.finetuning.data import read_data
from runners.finetuning.encoding import Encoder, on_device
from runners.images import read_image
from runners.step import RunningStep

TOLERANCE = {BasePrecision.FP32: 1e-3, BasePrecision.BF16: 0.1}
"""Largest difference of a logit that rounding explains, as a share of the largest logit."""


def run(step: RunningStep, settings: FinetuneSettings, home: Home) -> None:
    """Write artifacts/merged: weights and processor, loadable like the base.

    The base is loaded anew in the precision asked for, whatever it was trained in: rounding merged
    weights to 4 or 8 bits would change the answers. Raises Problem where they change all the same.
    """
    if settings.merge is None:
        raise Problem("the run does not ask for a merged model")
    precision = BasePrecision(settings.merge)
    artifacts = Artifacts(step.folder)
    step.phase("load the model", unit="")
    base = load_for(replace(settings, precision=precision), home)
    adapted = load_adapter(base.model, artifacts.best).eval()
    data = read_data(artifacts.data)
    asked = data.splits["test"][0]
    question = data.text(settings.prompt, asked)
    inputs = Encoder(base).prompt(read_image(Path(asked.image)), question)
    before = _logits(adapted, inputs)
    step.phase("merge", unit="")
    merged = merge(adapted)
    difference = float((_logits(merged, inputs) - before).abs().max() / before.abs().max())
    if not difference <= TOLERANCE[precision]:
        raise Problem(
            f"the merged model answers differently: its logits are off by {difference:.2g} of the "
            f"largest, more than {TOLERANCE[precision]:g}"
        )
    _save(merged, base.processor, artifacts)
    step.warning(
        f"{artifacts.merged}: merged in {precision.value}, logits off by {difference:.1g} of the "
        "largest"
    )


def _logits(model: Any, inputs: Any) -> Any:
    with torch.inference_mode():
        return model(**on_device(inputs, model.device)).logits.float()


def _save(model: Any, processor: Any, artifacts: Artifacts) -> None:
    with full_disk_named(artifacts.merged):
        model.save_pretrained(artifacts.merged)
    processor.save_pretrained(artifacts.merged)
