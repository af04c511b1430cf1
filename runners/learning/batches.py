"""The order of the training images, and batches made ahead of the step that needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from edgelab.settings.train import Augmentation
from runners.classify_input import as_planes
from runners.learning.augment import augmented
from runners.learning.pictures import Pictures

AHEAD = 2
"""Batches that are made while a step computes."""

Batch = tuple[Tensor, Tensor]
"""Images, (n, 3, side, side), and labels, (n,)."""


def order(count: int, seed: int, epoch: int) -> list[int]:
    """A permutation of the images for that epoch: the same whenever it is asked for."""
    shuffled: list[int] = np.random.default_rng((seed, epoch)).permutation(count).tolist()
    return shuffled


def parts_of(indices: list[int], examples: int) -> list[list[int]]:
    """The images of each step: the last may have fewer, but never one alone where others are, for
    a normalisation over one image is none."""
    parts = [indices[start : start + examples] for start in range(0, len(indices), examples)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        lone = parts.pop()
        parts[-1] = [*parts[-1], *lone]
    return parts


def steps_per_epoch(count: int, examples: int) -> int:
    """How many steps see all images once."""
    return len(parts_of(list(range(count)), examples))


def training_batches(
    pictures: Pictures,
    how: Augmentation,
    seed: int,
    epoch: int,
    examples: int,
    first: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The batches of an epoch from step `first` on, augmented in a thread of their own.

    `share`: of each batch what process number 0 of 1, 1 of 2... takes; it may be nothing.
    """
    number, processes = share
    parts = parts_of(order(len(pictures), seed, epoch), examples)

    def make(part: list[int]) -> Batch:
        images = [
            augmented(pictures.pixels(index), how, np.random.default_rng((seed, epoch, index)))
            for index in part
        ]
        return _batch(images, [pictures.labels[index] for index in part])

    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1, "batches") as maker:
        remaining = iter(parts[first:])
        try:
            for part in remaining:
                waiting.append(maker.submit(make, part[number::processes]))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def plain_batches(pictures: Pictures, examples: int) -> Iterator[Batch]:
    """All images in their order, as they are."""
    for start in range(0, len(pictures), examples):
        part = range(start, min(start + examples, len(pictures)))
        yield _batch(
            [as_planes(pictures.pixels(index)) for index in part],
            [pictures.labels[index] for index in part],
        )


def _batch(images: list[np.ndarray], labels: list[int]) -> Batch:
    stacked = np.stack(images) if images else np.empty((0, 3, 1, 1), np.float32)
    return torch.from_numpy(stacked), torch.tensor(labels, dtype=torch.int64)
