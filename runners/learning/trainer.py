"""The loop: steps, epochs, the best weights, checkpoints; and going on where one was made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edgelab.problem import Problem
from edgelab.records import EpochEnded, LearningEnded, LearningStarted, Record, TrainStep
from edgelab.settings.train import TrainSettings
from runners.classifiers.classifier import Classifier, parameters
from runners.learning.batches import Batch, plain_batches, steps_per_epoch, training_batches
from runners.learning.checkpoint import Checkpoints, random_states, restore_random_states
from runners.learning.device import Device
from runners.learning.group import Alone, Group
from runners.learning.pictures import Pictures
from runners.memory import is_out_of_memory, peak_memory_bytes
from runners.step import now

METRIC = "accuracy"


@dataclass(frozen=True)
class Reporter:
    """What the loop tells of itself: `event` takes records, `step` may raise to stop it."""

    event: Callable[[Record], None]
    step: Callable[[TrainStep], None]
    warn: Callable[[str], None]


@dataclass
class Place:
    """Where training stands. `best_epoch` 0: none yet. `micro`: images that fit at once."""

    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int = 0
    best_metric: float = -1.0
    best_loss: float = math.inf
    micro: int = 0


@dataclass(frozen=True)
class HeldOut:
    """What the classifier says of a split: mean loss, probabilities (n, classes), truth (n,)."""

    loss: float
    probabilities: NDArray[np.float64]
    truth: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share of images whose most probable class is the true one."""
        return float((self.probabilities.argmax(axis=1) == self.truth).mean())


ALONE = Alone()


class Trainer:
    """Trains one classifier. `keep_best` is called whenever the held-out metric has risen.

    With others of its `group` it takes its part of each batch; the leader alone keeps and tells.
    """

    def __init__(
        self,
        classifier: Classifier,
        train: Pictures,
        val: Pictures,
        settings: TrainSettings,
        device: Device,
        checkpoints: Checkpoints,
        reporter: Reporter,
        keep_best: Callable[[Classifier], None],
        group: Group = ALONE,
    ) -> None:
        self.classifier = classifier.to(device.device)
        self.train, self.val = train, val
        self.settings = settings
        self.device = device
        self.checkpoints = checkpoints
        self.reporter = reporter
        self.keep_best = keep_best
        self.group = group
        self.place = Place(micro=settings.batch)
        self.examples = settings.batch * settings.accumulate
        self.per_epoch = steps_per_epoch(len(train), self.examples)
        trainable = [each for each in classifier.parameters() if each.requires_grad]
        self.optimiser = torch.optim.AdamW(
            trainable, settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser, factor=settings.plateau_factor, patience=settings.plateau_patience
        )
        self.scaler = torch.amp.GradScaler(device.device.type, enabled=device.scales)
        self.weights = self._class_weights() if settings.class_weights else None
        self._saved_at = now()

    def run(self) -> None:
        """Train to the end, from the newest checkpoint where there is one."""
        self._restore()
        settings, place = self.settings, self.place
        self.reporter.event(self._started())
        why = f"all {settings.epochs} epochs done"
        epoch = place.step // self.per_epoch
        while epoch < settings.epochs:
            if self._patience_is_over(epoch):
                why = f"no better since epoch {place.best_epoch}"
                break
            epoch += 1
            self._epoch(epoch)
        self.reporter.event(LearningEnded(now(), why, peak_memory_bytes()))

    def held_out(self, pictures: Pictures) -> HeldOut:
        """What the classifier, as it is now, says of these pictures."""
        self.classifier.eval()
        losses, probabilities = 0.0, []
        with torch.no_grad():
            for images, labels in plain_batches(pictures, self.settings.batch):
                with self.device.autocast():
                    logits = self.classifier(images.to(self.device.device)).float().cpu()
                losses += float(functional.cross_entropy(logits, labels, reduction="sum"))
                probabilities.append(logits.double().softmax(dim=1).numpy())
        return HeldOut(
            losses / len(pictures), np.concatenate(probabilities), np.array(pictures.labels)
        )

    # Epochs and steps ----------------------------------------------------------------------

    def _epoch(self, epoch: int) -> None:
        place, settings = self.place, self.settings
        first = place.step - (epoch - 1) * self.per_epoch
        self.classifier.train()
        batches = training_batches(
            self.train,
            settings.augmentation,
            settings.seed,
            epoch,
            self.examples,
            first,
            (self.group.rank, self.group.size),
        )
        for batch in batches:
            examples = int(self.group.sum(len(batch[1])))
            loss = self._step(batch, examples)
            place.step += 1
            place.loss_sum += loss * examples
            self.reporter.step(TrainStep(now(), place.step, epoch, loss, self._rate(), examples))
            if now() - self._saved_at >= settings.checkpoint_s and place.step % self.per_epoch:
                self._save()
        self._end_epoch(epoch)

    def _end_epoch(self, epoch: int) -> None:
        place, rate = self.place, self._rate()
        self.group.follow(self.classifier)
        val_loss, accuracy = self.group.told(self._held_out_figures)
        self.plateau.step(val_loss)
        better = (accuracy, -val_loss) > (place.best_metric, -place.best_loss)
        if better:
            place.best_epoch = epoch
            place.best_metric, place.best_loss = accuracy, val_loss
        if better and self._leads:
            self.keep_best(self.classifier)
        train_loss, place.loss_sum = place.loss_sum / len(self.train), 0.0
        self.reporter.event(
            EpochEnded(
                t=now(),
                epoch=epoch,
                train_loss=train_loss,
                val_loss=val_loss,
                learning_rate=rate,
                metrics={METRIC: accuracy},
                best=better,
            )
        )
        self._save()

    def _held_out_figures(self) -> tuple[float, float]:
        held_out = self.held_out(self.val)
        return held_out.loss, held_out.accuracy

    def _step(self, batch: Batch, examples: int) -> float:
        """One step of the optimiser, over `examples` of all processes; where memory runs out, with
        half as many images at once."""
        while True:
            before = random_states(self.device.device)
            try:
                total = self._gradients(batch, examples)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.place.micro == 1:
                    raise
            self.place.micro = max(1, self.place.micro // 2)
            self.optimiser.zero_grad(set_to_none=True)
            restore_random_states(before, self.device.device)
            if self.device.device.type == "cuda":
                torch.cuda.empty_cache()
            self.reporter.warn(
                f"out of memory: {self.place.micro} images at once from step "
                f"{self.place.step + 1} on, gradients of a step are added up over more of them"
            )
        return self._descend(self.group.sum(total))

    def _gradients(self, batch: Batch, examples: int) -> float:
        """Those of this process's images; returns their share of the mean loss."""
        images, labels = batch
        total = 0.0
        self.optimiser.zero_grad(set_to_none=True)
        for start in range(0, len(labels), self.place.micro):
            part = slice(start, start + self.place.micro)
            loss = self._loss(images[part], labels[part]) * (len(labels[part]) / examples)
            self.scaler.scale(loss).backward()
            total += float(loss.detach())
        return total

    def _descend(self, total: float) -> float:
        """Step along the gradients of all processes; raises Problem for a loss that is none."""
        if not math.isfinite(total):
            raise Problem(
                f"the loss is {total} at step {self.place.step + 1}: lower --learning-rate "
                f"({self._rate():g}); the weights of the step before are untouched"
            )
        self.group.sum_gradients(self.classifier.parameters())
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return total

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        where = self.device.device
        with self.device.autocast():
            logits = self.classifier(images.to(where))
        return functional.cross_entropy(logits.float(), labels.to(where), self.weights)

    # What is kept --------------------------------------------------------------------------

    def _save(self) -> None:
        if not self._leads:
            return
        state = {
            "place": vars(self.place),
            "optimiser": self.optimiser.state_dict(),
            "plateau": self.plateau.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": random_states(self.device.device),
        }
        self.checkpoints.save(self.place.step, self.classifier.state_dict(), state)
        self._saved_at = now()

    def _restore(self) -> None:
        found = self.checkpoints.load()
        if found is not None:
            self._take(*found)
        if not self._leads:  # dropout must not fall on the same places in each process
            torch.manual_seed(hash((self.settings.seed, self.place.step, self.group.rank)))

    def _take(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.classifier.load_state_dict(weights)
        self.optimiser.load_state_dict(state["optimiser"])
        self.plateau.load_state_dict(state["plateau"])
        self.scaler.load_state_dict(state["scaler"])
        self.place = Place(**state["place"])
        restore_random_states(state["random"], self.device.device)

    # Small things --------------------------------------------------------------------------

    def _patience_is_over(self, epoch: int) -> bool:
        return epoch - self.place.best_epoch >= self.settings.patience and epoch > 0

    def _devices(self) -> str:
        each, count = self.device.name, self.group.size
        return each if count == 1 else f"{count} x {each}"

    @property
    def _leads(self) -> bool:
        return self.group.rank == 0

    def _rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def _class_weights(self) -> Tensor:
        """Each class weighs as much as the others: n images / (classes x images of the class)."""
        counts = np.bincount(self.train.labels, minlength=len(self.classifier.config.classes))
        weights = len(self.train) / (len(counts) * np.maximum(counts, 1))
        return torch.tensor(weights, dtype=torch.float32, device=self.device.device)

    def _started(self) -> LearningStarted:
        trainable: Any = sum(p.numel() for p in self.classifier.parameters() if p.requires_grad)
        return LearningStarted(
            t=now(),
            device=self._devices(),
            number_format=self.device.number_format,
            parameters=sum(parameters(self.classifier)),
            trainable=trainable,
            epochs=self.settings.epochs,
            steps_per_epoch=self.per_epoch,
            batch=self.settings.batch,
            accumulate=self.settings.accumulate,
            metric=METRIC,
            resumed_at=self.place.step,
        )
