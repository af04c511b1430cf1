"""One epoch of the lab's trainer and of bare PyTorch loops, in turns: `... ROUNDS STEPS THREADS`.

All train the same classifier from the same weights on the same images, changed by the same code in
the same way. Measured is from the end of the first step to that of the last.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from edgelab.journal import JournalWriter
from edgelab.records import TrainStep
from edgelab.settings.train import TrainSettings
from runners.classifiers.classifier import Classifier, build
from runners.classifiers.config import configure
from runners.datasets.labelled import Picture
from runners.images import Pixels
from runners.learning.augment import augmented
from runners.learning.checkpoint import Checkpoints
from runners.learning.device import Device
from runners.learning.pictures import Pictures
from runners.learning.trainer import Reporter, Trainer

SIDE, PATCH, BATCH, CLASSES = 64, 8, 32, 11

Marks = list[tuple[float, float]]
"""Wall and CPU time, s, at the end of each step."""


def main(rounds: int, steps: int, threads: int) -> None:
    """Print s a step of each loop, a value a round."""
    torch.set_num_threads(threads)
    settings = TrainSettings(
        model="vit-tiny-3", dataset="-", image_size=SIDE, patch_size=PATCH, batch=BATCH, epochs=1,
        threads=threads,
    )  # fmt: skip
    pictures = _pictures(BATCH * steps)
    loops: dict[str, Callable[[], Marks]] = {
        "ours": lambda: _ours(settings, pictures),
        "bare": lambda: _bare(settings, pictures, workers=0),
        "bare_worker": lambda: _bare(settings, pictures, workers=1),
    }
    found: dict[str, list[float]] = {f"{name}{end}": [] for name in loops for end in ("", "_cpu")}
    for _ in range(rounds):
        for name, loop in loops.items():
            (wall, cpu), *_, (wall_end, cpu_end) = loop()
            found[name].append((wall_end - wall) / (steps - 1))
            found[f"{name}_cpu"].append((cpu_end - cpu) / (steps - 1))
    print(json.dumps(found))


def _ours(settings: TrainSettings, pictures: Pictures) -> Marks:
    """The trainer, each step written to a journal as in a run."""
    marks: Marks = []
    with (
        tempfile.TemporaryDirectory(prefix="edgelab-bench-") as folder,
        JournalWriter(Path(folder) / "items.jsonl") as journal,
    ):

        def made(record: TrainStep) -> None:
            journal.append(record)
            marks.append((perf_counter(), process_time()))

        Trainer(
            _classifier(), pictures, _pictures(BATCH), settings,
            Device(torch.device("cpu"), None), Checkpoints(Path(folder) / "checkpoints"),
            Reporter(lambda _: None, made, lambda _: None), lambda _: None,
        ).run()  # fmt: skip
    return marks


class _Augmented(Dataset):  # type: ignore[type-arg]
    """As anybody would write it."""

    def __init__(self, pictures: Pictures, settings: TrainSettings) -> None:
        self.pictures, self.settings = pictures, settings

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        rng = np.random.default_rng((self.settings.seed, 1, index))
        pixels = self.pictures.pixels(index)
        planes = augmented(pixels, self.settings.augmentation, rng)
        return torch.from_numpy(planes), self.pictures.labels[index]


def _bare(settings: TrainSettings, pictures: Pictures, workers: int) -> Marks:
    """A DataLoader, a forward and a backward pass, AdamW, and nothing else."""
    classifier = _classifier().train()
    optimiser = torch.optim.AdamW(
        classifier.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    loader = DataLoader(_Augmented(pictures, settings), BATCH, shuffle=True, num_workers=workers)
    marks: Marks = []
    for images, labels in loader:
        loss = functional.cross_entropy(classifier(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        marks.append((perf_counter(), process_time()))
    return marks


def _classifier() -> Classifier:
    torch.manual_seed(0)
    names = tuple(f"class {index}" for index in range(CLASSES))
    return build(configure("vit-tiny-3", names, SIDE, PATCH))


def _pictures(count: int) -> Pictures:
    rng = np.random.default_rng(0)
    kept: dict[int, Pixels] = {
        index: rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for index in range(count)
    }
    known = [Picture(str(i), i % CLASSES, lambda: kept[0], lambda: None) for i in range(count)]
    return Pictures(known, SIDE, kept)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
