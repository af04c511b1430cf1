"""The parts of a vision-language model that adapters can sit in: one pattern a part.

Each pattern matches the full names of linear layers as transformers 5 names them in the loaded
model, whatever an older checkpoint on disk calls them. Embeddings and the output head are in no
part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgelab.problem import Problem
from edgelab.settings.finetune import Part

_DECODER = r"model\.language_model\.layers\.\d+\..*\.(q|k|v|o|gate|up|down)_proj"

PATTERNS: Mapping[str, Mapping[Part, str]] = {
    "paligemma": {
        Part.LLM: _DECODER,
        Part.VISION: r"model\.vision_tower\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)",
        Part.PROJECTOR: r"model\.multi_modal_projector\.linear",
    },
    "qwen2_vl": {
        Part.LLM: _DECODER,
        Part.VISION: r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(fc1|fc2))",
        Part.PROJECTOR: r"model\.visual\.merger\.mlp\.[02]",
    },
}
"""By `model_type` of the configuration; PaliGemma 2 shares PaliGemma's."""


def must_be_tunable(folder: Path, model_type: str) -> None:
    """Raise Problem where the checkpoint in `folder` is of an architecture without patterns."""
    if model_type not in PATTERNS:
        raise Problem(
            f"{folder}: a {model_type!r} model: fine-tuning knows {', '.join(sorted(PATTERNS))}"
        )


def pattern(model_type: str, parts: Sequence[Part], modules: Iterable[str]) -> str:
    """One regular expression that matches the layers of `parts` and no others.

    `modules`: the names of the model's modules. Raises Problem for an architecture that is not
    known, and where a part matches no module: its adapters would silently train nothing.
    """
    known = PATTERNS.get(model_type)
    if known is None:
        raise Problem(
            f"the model is a {model_type!r}: LoRA is known for {', '.join(sorted(PATTERNS))}"
        )
    names = tuple(modules)
    for part in parts:
        if not any(re.fullmatch(known[part], name) for name in names):
            raise Problem(f"the model has no layer of the part {part.value} ({known[part]})")
    return "|".join(f"(?:{known[part]})" for part in parts)


def part_of(model_type: str, module: str) -> Part | None:
    """The part that a layer belongs to; None for those that carry no adapter."""
    matches = (
        part
        for part, expression in PATTERNS[model_type].items()
        if re.fullmatch(expression, module)
    )
    return next(matches, None)
