"""What one inference of a model takes: counted by `runners.graph_cost`, kept with every run."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.settings.common import Precision

Count = Annotated[int, Meta(ge=0)]


class GraphCost(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one inference of a graph takes as the file writes it, constants folded, nothing fused.

    `flops`: arithmetic operations by the format they are asked for in; a multiplication and its
    addition are two. `macs`: the multiply-accumulates among them. `weight_bytes`: constants;
    `io_bytes`: inputs and outputs of the model; `activation_bytes`: what its computing nodes write,
    each once. `unknown`: operators whose cost is not in these figures, and how often they occur.
    """

    flops: dict[Precision, Count]
    macs: Count = 0
    weight_bytes: Count = 0
    io_bytes: Count = 0
    activation_bytes: Count = 0
    unknown: dict[str, Count] = msgspec.field(default_factory=dict)

    @property
    def operations(self) -> int:
        """Operations of all formats."""
        return sum(self.flops.values())

    @property
    def compulsory_bytes(self) -> int:
        """What crosses the memory bus however clever the runtime: weights, inputs, outputs.

        Activations are not in it: a runtime may keep them in caches, or never write them.
        """
        return self.weight_bytes + self.io_bytes
