"""A run that ran out of memory, asked for less: fewer pixels, or a lower precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from edgelab.fitting import SMALLER, model_folder
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.schema import read_json
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from edgelab.spec import RunSpec, Terms
from edgelab.vlm_memory import engine_of

OUT_OF_MEMORY = (Outcome.OUT_OF_MEMORY, Outcome.OUT_OF_MEMORY_LIKELY)

_LOADING = ("load", "quantise")
_ONNX = (Precision.INT8, Precision.Q4)
_FEWEST_PIXELS = 2 * 784
_USUAL_PIXELS = 401_408
"""A first bound for a Qwen2-VL that had none: 512 image tokens."""


def retry_smaller(lab: Lab, record: RunRecord) -> tuple[RunSpec, str]:
    """Start the run again with less of what it lacked memory for; returns what was changed."""
    settings, change = smaller(record, lab.home)
    spec = record.spec
    terms = Terms(spec.time_limit_s, spec.cool_down, spec.governor)
    return lab.submit(settings, f"{spec.title}, {change}", terms), change


def smaller(record: RunRecord, home: Home) -> tuple[Any, str]:
    """The settings of the next attempt and what is less in them, in words.

    Where the pixels were to blame (it died behind loading), fewer of them; else a lower precision.
    Raises Problem where nothing ran out of memory, or nothing is left to make smaller.
    """
    settings = record.spec.settings
    dead = [each for each in record.passes if each.outcome in OUT_OF_MEMORY]
    if not dead or not isinstance(settings, MeasureSettings):
        raise Problem(f"run {record.spec.id}: no pass of it ran out of memory: nothing to retry")
    precisions = tuple(each.precision for each in dead)
    if isinstance(settings, AskSettings):
        behind = not any(f"in the stage {stage}" in dead[0].reason for stage in _LOADING)
        fewer = _fewer_pixels(settings, home) if behind else None
        if fewer is not None:
            changed, change = fewer
            return msgspec.structs.replace(changed, precisions=precisions), change
    lower = _lower(settings, precisions, home)
    if lower is None:
        raise Problem(
            f"run {record.spec.id}: there is no lower precision of {settings.model} to try: "
            "choose a smaller model"
        )
    return msgspec.structs.replace(settings, precisions=(lower,)), f"in {lower}"


def _fewer_pixels(settings: AskSettings, home: Home) -> tuple[AskSettings, str] | None:
    if settings.tiling:
        return msgspec.structs.replace(settings, tiling=False), "without tiling"
    bound = settings.max_pixels
    if bound is None and _is_qwen(settings, home):
        bound = 2 * _USUAL_PIXELS
    if bound is None or bound // 2 < _FEWEST_PIXELS:
        return None
    changed = msgspec.structs.replace(settings, max_pixels=bound // 2)
    return changed, f"at most {bound // 2} pixels"


def _is_qwen(settings: AskSettings, home: Home) -> bool:
    """The one family that sees as many pixels as the image has."""
    folder = model_folder(settings.model, settings.revision, home)
    if folder is None:
        return False
    config: dict[str, Any] = read_json(folder / "config.json", dict[str, Any])
    return str(config.get("model_type")).startswith("qwen")


def _lower(settings: MeasureSettings, dead: Sequence[Precision], home: Home) -> Precision | None:
    """The next lower precision than all that died; those on the way that cannot run are skipped."""
    order = _ladder(settings, home)
    places = [order.index(each) for each in dead if each in order]
    behind = order[max(places, default=-1) + 1 :]
    return next(iter(behind), None)


def _ladder(settings: MeasureSettings, home: Home) -> tuple[Precision, ...]:
    """From the precision that takes the most memory to the one that takes the least."""
    if not isinstance(settings, AskSettings):
        return tuple(each for each in DETECTOR_PRECISIONS if each is not Precision.FP16)
    folder = model_folder(settings.model, settings.revision, home)
    if folder is not None and engine_of(folder) == "onnx":
        return (Precision.FP16, Precision.FP32, *_ONNX)
    return (Precision.FP32, Precision.FP16, *(p for p in SMALLER if p is not Precision.Q4))
