"""Which layers each part names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from edgelab.problem import Problem  # noqa: E402
from edgelab.settings.finetune import Part  # noqa: E402
from runners.finetuning.parts import PATTERNS, part_of, pattern  # noqa: E402

PARTS = tuple(Part)
SUBSETS = [s for n in range(1, 4) for s in itertools.combinations(PARTS, n)]


def test_each_linear_layer_but_the_head_is_in_one_part(
    load: Callable[..., Any], family: str
) -> None:
    base = load(family)
    linear = {n for n, m in base.model.named_modules() if isinstance(m, torch.nn.Linear)}
    assert {n for n in linear if part_of(base.model_type, n) is None} == {"lm_head"}
    for name in linear - {"lm_head"}:
        matching = [p for p in PATTERNS[base.model_type].values() if re.fullmatch(p, name)]
        assert len(matching) == 1


@pytest.mark.parametrize("parts", SUBSETS)
def test_the_pattern_of_some_parts_matches_their_layers_only(
    load: Callable[..., Any], family: str, parts: tuple[Part, ...]
) -> None:
    base = load(family)
    names = [name for name, _ in base.model.named_modules()]
    expression = pattern(base.model_type, parts, names)
    assert all(
        isinstance(module, torch.nn.Linear)
        for name, module in base.model.named_modules()
        if re.fullmatch(expression, name)
    )
    for name in names:
        assert bool(re.fullmatch(expression, name)) is (part_of(base.model_type, name) in parts)


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(Problem, match="'llava'"):
        pattern("llava", PARTS, ["x"])
    with pytest.raises(Problem, match="no layer of the part vision"):
        pattern("paligemma", (Part.VISION,), ["model.multi_modal_projector.linear"])
