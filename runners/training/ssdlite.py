"""Training of torchvision's `ssdlite320_mobilenet_v3_large` from scratch, and its export.

Network, matching, loss and normalisation are torchvision's own; the anchors' scales are the spec's.
Without pretrained weights torchvision builds the network with the reduced tail of MobileNetV3
(table 6 of https://arxiv.org/abs/1905.02244): 2.3 million parameters for a handful of classes.
"""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import cv2
import numpy as np
import torch
import torchvision
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator

from runners.exporting.ssdlite import export
from runners.training.spec import Flips, SsdliteTraining
from runners.training.truth import count_objects, read_annotations

VALIDATED_THRESHOLD = 0.5

_MAPS = 6
_ASPECT_RATIOS = [2, 3]

log = logging.getLogger("edgelab.train")


class Example(NamedTuple):
    """An image, (3, height, width) uint8 RGB, its boxes, (n, 4) of x1, y1, x2, y2 px, and their
    labels, (n,); label 0 is torchvision's background."""

    image: Any
    boxes: Any
    labels: Any


def make_model(spec: SsdliteTraining, dataset: Path, output: Path, _work: Path) -> None:
    """Train, and write `output/results.csv` and `output/model.onnx`."""
    names = [category.name for category in read_annotations(dataset / "train").categories]
    network, target = train(spec, dataset, output), output / "model.onnx"
    export(network, names, target, f"{spec.name}, trained on {spec.dataset}")
    log.info("model.onnx: %d bytes", target.stat().st_size)


def train(spec: SsdliteTraining, dataset: Path, output: Path) -> Any:
    """The network after the last epoch; writes `output/results.csv`."""
    log.info("torchvision %s, torch %s", torchvision.__version__, torch.__version__)
    log.info("%s", spec)
    torch.set_num_threads(spec.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(spec.seed)
    truth = count_objects(read_annotations(dataset / "val"))
    examples, val = read_examples(dataset / "train"), read_examples(dataset / "val")
    network = build(spec.anchor_scales, classes=truth.shape[1])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    log.info("%d parameters, %d training images", parameters, len(examples))
    training = _Training(spec, network, examples)
    with (output / "results.csv").open("w", encoding="utf-8", newline="") as file:
        results = _Results(file, spec.epochs)
        for epoch in range(1, spec.epochs + 1):
            box_loss, class_loss = training.run_epoch()
            mae = float(np.abs(count(network, val, truth.shape[1]) - truth).mean())
            results.write(epoch, training.rate(), box_loss, class_loss, mae)
    return network


class _Results:
    """Writes a line an epoch, to results.csv and to the log; `time` is seconds since the start."""

    def __init__(self, file: TextIO, epochs: int) -> None:
        self.file = file
        self.epochs = epochs
        self.started = time.monotonic()
        self.rows = csv.writer(file, lineterminator="\n")
        self.rows.writerow(["epoch", "time", "lr", "box_loss", "class_loss", "val_mae"])

    def write(self, epoch: int, rate: float, box: float, label: float, mae: float) -> None:
        elapsed = time.monotonic() - self.started
        self.rows.writerow([epoch, *(f"{n:.6g}" for n in (elapsed, rate, box, label, mae))])
        self.file.flush()
        log.info(
            "epoch %d/%d  box %.3f  class %.3f  val MAE at %s %.3f  %.0f s",
            *(epoch, self.epochs, box, label, VALIDATED_THRESHOLD, mae, elapsed),
        )


def build(anchor_scales: Sequence[float], classes: int) -> Any:
    """torchvision's network without pretrained weights, with anchors of these scales.

    Kept in torch's channels-last layout, in which a step on a CPU takes two thirds of the time.
    """
    network = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=1 + classes
    )
    network.anchor_generator = DefaultBoxGenerator(
        [_ASPECT_RATIOS] * _MAPS, scales=list(anchor_scales)
    )
    return network.to(memory_format=torch.channels_last)


class _Training:
    """The state of a training between its epochs."""

    def __init__(self, spec: SsdliteTraining, network: Any, examples: list[Example]) -> None:
        self.spec = spec
        self.network = network
        self.examples = examples
        self.random = torch.Generator().manual_seed(spec.seed)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=spec.lr0, weight_decay=spec.weight_decay
        )
        steps = math.ceil(len(examples) / spec.batch)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, warm_cosine(spec, steps))

    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.scheduler.get_last_lr()[0])

    def run_epoch(self) -> tuple[float, float]:
        """One pass over the examples; returns the mean box and class loss of its steps."""
        self.network.train()
        losses = [self._step(batch) for batch in self._batches()]
        box, label = np.mean(losses, axis=0).tolist()
        return box, label

    def _step(self, batch: list[Example]) -> tuple[float, float]:
        images = [example.image.float() / 255 for example in batch]
        targets = [{"boxes": example.boxes, "labels": example.labels} for example in batch]
        losses = self.network(images, targets)
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        self.optimizer.step()
        self.scheduler.step()
        return losses["bbox_regression"].item(), losses["classification"].item()

    def _batches(self) -> Iterator[list[Example]]:
        order = torch.randperm(len(self.examples), generator=self.random).tolist()
        for start in range(0, len(order), self.spec.batch):
            chosen = order[start : start + self.spec.batch]
            yield [self._flipped(self.examples[index], self.spec.augmentation) for index in chosen]

    def _flipped(self, example: Example, flips: Flips) -> Example:
        upside_down, mirrored = torch.rand(2, generator=self.random).tolist()
        if upside_down < flips.flipud:
            example = flip(example, vertical=True)
        if mirrored < flips.fliplr:
            example = flip(example, vertical=False)
        return example


def flip(example: Example, *, vertical: bool) -> Example:
    """The example upside down (vertical), or with left and right exchanged."""
    axis = 1 if vertical else 2  # of (3, height, width)
    low, high = (1, 3) if vertical else (0, 2)  # of x1, y1, x2, y2
    boxes = example.boxes.clone()
    boxes[:, [low, high]] = example.image.shape[axis] - example.boxes[:, [high, low]]
    return Example(example.image.flip(axis), boxes, example.labels)


def warm_cosine(spec: SsdliteTraining, steps_per_epoch: int) -> Any:
    """The share of `lr0` at a step: a linear rise, then half a cosine down to `lrf`."""
    steps = spec.epochs * steps_per_epoch
    warm = round(spec.warmup_epochs * steps_per_epoch)

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(steps - warm, 1)
        return spec.lrf + (1 - spec.lrf) * (1 + math.cos(math.pi * min(done, 1.0))) / 2

    return share


def read_examples(split: Path) -> list[Example]:
    """Read a split's images and objects, the latter's labels from 1 in the order of categories."""
    coco = read_annotations(split)
    labels = {category.id: label for label, category in enumerate(coco.categories, start=1)}
    boxes: dict[int, list[list[float]]] = {image.id: [] for image in coco.images}
    classes: dict[int, list[int]] = {image.id: [] for image in coco.images}
    for item in coco.annotations:
        left, top, width, height = item.bbox
        boxes[item.image_id].append([left, top, left + width, top + height])
        classes[item.image_id].append(labels[item.category_id])
    return [
        Example(
            _read_rgb(split / "images" / image.file_name),
            torch.tensor(boxes[image.id], dtype=torch.float32).reshape(-1, 4),
            torch.tensor(classes[image.id], dtype=torch.int64),
        )
        for image in coco.images
    ]


def _read_rgb(path: Path) -> Any:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def count(network: Any, examples: list[Example], classes: int) -> Any:
    """Detections above `VALIDATED_THRESHOLD` of each class in each image: (images, classes)."""
    network.eval()
    network.score_thresh = VALIDATED_THRESHOLD
    counts = np.zeros((len(examples), classes), np.int64)
    with torch.no_grad():
        for row, example in zip(counts, examples, strict=True):
            (found,) = network([example.image.float() / 255])
            row += np.bincount(found["labels"].numpy() - 1, minlength=classes)
    return counts
