"""What a runtime really executes of a model, as its own optimised graph tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]


class ExecutedPrecision(msgspec.Struct, frozen=True):
    """What the runtime executes after its own graph optimisation: node counts by number format.

    Counted are nodes that compute on tensors; `casts` and `quantize` convert between formats.
    """

    integer: Count
    half: Count
    full: Count
    casts: Count = 0
    quantize: Count = 0
    weights: dict[str, int] = msgspec.field(default_factory=dict)  # bytes by element type
    formats: dict[str, int] = msgspec.field(default_factory=dict)
    """Weights by format, where what computes is a module of PyTorch and no graph of nodes."""

    @property
    def words(self) -> str:
        """One short phrase: what was really executed."""
        parts = [("int8", self.integer), ("fp16", self.half), ("fp32", self.full)]
        if self.formats:
            parts = sorted(self.formats.items(), key=lambda each: -each[1])
        total = sum(n for _, n in parts)
        if not total:
            return "unknown"
        return " + ".join(f"{100 * n / total:.0f}% {name}" for name, n in parts if n)


def total(parts: Sequence[ExecutedPrecision]) -> ExecutedPrecision:
    """What a model of several graphs executes."""
    weights: Counter[str] = Counter()
    for part in parts:
        weights.update(part.weights)
    return ExecutedPrecision(
        integer=sum(part.integer for part in parts),
        half=sum(part.half for part in parts),
        full=sum(part.full for part in parts),
        casts=sum(part.casts for part in parts),
        quantize=sum(part.quantize for part in parts),
        weights=dict(sorted(weights.items())),
    )
