"""The processes that train one model together: each learns from its part of every batch.

All hold the same weights. Gradients are added up before each step, so that the step is the one that
a single process would have made of the whole batch, but for rounding and chance inside the model.
Only the leader writes: journals, checkpoints, weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Group(Protocol):
    """This process among those that train together: number `rank` of `size`."""

    rank: int
    size: int

    def sum(self, value: float) -> float:
        """The sum of what all processes give."""

    def sum_gradients(self, weights: Iterable[Tensor]) -> None:
        """Each weight's gradient becomes the sum of all processes'."""

    def told(self, decide: Callable[[], T]) -> T:
        """What the leader decides: the others wait for it."""

    def follow(self, model: nn.Module) -> None:
        """Buffers, such as the means of batch normalisation, become the leader's."""


class Alone:
    """One process."""

    rank, size = 0, 1

    def sum(self, value: float) -> float:
        """The value."""
        return value

    def sum_gradients(self, weights: Iterable[Tensor]) -> None:
        """They are the sum."""

    def told(self, decide: Callable[[], T]) -> T:
        """What it decides."""
        return decide()

    def follow(self, model: nn.Module) -> None:
        """They are the leader's."""


class Launched:
    """A process of accelerate's launcher, over gloo on CPUs and NCCL on GPUs."""

    def __init__(self, on_cpu: bool) -> None:
        from accelerate import PartialState

        state: Any = PartialState(cpu=on_cpu)
        self.rank, self.size = int(state.process_index), int(state.num_processes)
        self.device: torch.device = state.device

    def sum(self, value: float) -> float:
        """Over the network."""
        from accelerate.utils import reduce

        return float(reduce(torch.tensor(value, device=self.device), reduction="sum"))

    def sum_gradients(self, weights: Iterable[Tensor]) -> None:
        """In one message: many small ones would wait for each other."""
        from accelerate.utils import reduce

        held = [each for each in weights if each.requires_grad]
        for each in held:
            if each.grad is None:  # this process had no image of the batch
                each.grad = torch.zeros_like(each)
        flat = reduce(torch.cat([each.grad.flatten() for each in held]), reduction="sum")
        for each, part in zip(held, flat.split([each.numel() for each in held]), strict=True):
            each.grad.copy_(part.view_as(each))

    def told(self, decide: Callable[[], T]) -> T:
        """Only the leader decides."""
        from accelerate.utils import broadcast_object_list

        held: list[Any] = [decide() if self.rank == 0 else None]
        found: T = broadcast_object_list(held)[0]
        return found

    def follow(self, model: nn.Module) -> None:
        """One buffer after the other."""
        from accelerate.utils import broadcast

        for buffer in model.buffers():
            buffer.copy_(broadcast(buffer))


def join(processes: int, device: str) -> Group:
    """This process's place among so many."""
    if processes == 1:
        return Alone()
    return Launched(on_cpu=device == "cpu" or not torch.cuda.is_available())
