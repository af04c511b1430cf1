"""What each step of a fine-tuning learns from, and how fast: pure functions of its number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from edgelab.settings.finetune import Schedule


class Batches:
    """The order of the examples: shuffled anew each epoch by the seed and the epoch's number.

    Which examples a step sees depends on nothing else, so that a training that goes on after a
    crash sees what it would have seen.
    """

    def __init__(self, examples: int, schedule: Schedule) -> None:
        self.examples = examples
        self.schedule = schedule
        self.per_step = schedule.batch * schedule.accumulate
        self.steps_per_epoch = math.ceil(examples / self.per_step)
        self.steps = self.steps_per_epoch * schedule.epochs
        self._epoch = -1
        self._order: list[int] = []

    def at(self, step: int) -> list[list[int]]:
        """The micro-batches of step 0, 1...: up to `accumulate` lists of up to `batch` indices."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.schedule.seed * 1_000_003 + epoch)
            self._order = torch.randperm(self.examples, generator=generator).tolist()
            self._epoch = epoch
        start = position * self.per_step
        chosen = self._order[start : start + self.per_step]
        return _chunks(chosen, self.schedule.batch)


def _chunks(values: Sequence[int], size: int) -> list[list[int]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def warm_cosine(steps: int, warmup_share: float) -> Callable[[int], float]:
    """The share of the learning rate at a step: a linear rise, then half a cosine down to 0."""
    warm = round(steps * warmup_share)

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        done = (step - warm) / max(steps - warm, 1)
        return (1 + math.cos(math.pi * min(done, 1.0))) / 2

    return share
