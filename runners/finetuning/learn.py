"""The training step: epochs of LoRA, held-out loss, checkpoints, and the best adapter kept."""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path

import msgspec
import torch

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import TRAIN, EpochEnded, LearningEnded, LearningStarted, TrainStep
from edgelab.settings.finetune import FinetuneSettings
from runners.finetuning.adapter import add_adapters, save_adapter
from runners.finetuning.artifacts import Artifacts
from runners.finetuning.base_model import load_for
from runners.finetuning.checkpoint import read_checkpoint, write_checkpoint
from runners.finetuning.data import Asked, TaskData, read_data
from runners.finetuning.encoding import Encoder, Inputs
from runners.finetuning.training import LoraTraining, NotANumber, StepResult, mean_loss
from runners.images import ImageProblem, read_image
from runners.learning.event_files import EventFiles
from runners.memory import peak_memory_bytes
from runners.step import RunningStep, Stopped, now


def run(step: RunningStep, settings: FinetuneSettings, home: Home) -> None:
    """Train, or go on from the checkpoint of an earlier attempt."""
    artifacts = Artifacts(step.folder)
    data = read_data(artifacts.data)
    step.phase("load the model", unit="")
    base = load_for(settings, home)
    encoder = Encoder(base)
    torch.manual_seed(settings.schedule.seed)  # what the adapters begin with
    model = add_adapters(base.model, settings.lora)
    examples = {
        split: EncodedExamples(encoder, data, split, settings.prompt) for split in ("train", "val")
    }
    training = LoraTraining(model, encoder, examples["train"], settings.schedule)
    Learning(step, settings, training, examples, artifacts, encoder).go_on(_owner(settings, data))


class EncodedExamples:
    """The questions of a split by the prompt that is learned, encoded when they are asked for."""

    def __init__(self, encoder: Encoder, data: TaskData, split: str, prompt: str) -> None:
        self.asked: tuple[Asked, ...] = data.splits[split]
        self._encoder = encoder
        self._data = data
        self._prompt = prompt

    def __len__(self) -> int:
        return len(self.asked)

    def __getitem__(self, index: int) -> Inputs:
        asked = self.asked[index]
        try:
            image = read_image(Path(asked.image))
        except ImageProblem as problem:  # it was whole when the run was prepared
            raise Problem(f"{asked.image}: {problem}") from None
        return self._encoder.example(image, self._data.text(self._prompt, asked), asked.answer)


class Learning:
    """A training that is journalled, checkpointed, and looked at after each epoch."""

    def __init__(
        self,
        step: RunningStep,
        settings: FinetuneSettings,
        training: LoraTraining,
        examples: dict[str, EncodedExamples],
        artifacts: Artifacts,
        encoder: Encoder,
    ) -> None:
        self.step = step
        self._settings = settings
        self._training = training
        self._examples = examples
        self._artifacts = artifacts
        self._encoder = encoder
        self._events = EventFiles(artifacts.tensorboard) if settings.tensorboard else None
        self._checkpoint_due = 0.0

    def go_on(self, owner: str) -> None:
        """Train up to the last epoch. `owner`: what a checkpoint must belong to."""
        training = self._training
        self._resume(owner)
        self._begin()
        while not training.over:
            self._stop_if_asked(owner)
            self._learn()
            ended = training.at_epoch_end
            if ended:
                self._end_epoch()
            if ended or time.monotonic() >= self._checkpoint_due:
                self._save(owner)
        self.step.event(LearningEnded(now(), "all epochs done", peak_memory_bytes()))
        if self._events is not None:
            self._events.close()

    def _resume(self, owner: str) -> None:
        state = read_checkpoint(self._artifacts.checkpoint, owner)
        if state is None:
            return
        try:
            self._training.restore(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise Problem(
                f"{self._artifacts.checkpoint}: does not fit this model "
                f"({' '.join(str(error).split())[:200]})"
            ) from None

    def _begin(self) -> None:
        training, schedule = self._training, self._settings.schedule
        weights = list(training.model.parameters())
        self.step.event(
            LearningStarted(
                t=now(),
                device=str(training.model.device),
                number_format=self._settings.precision.value,
                parameters=sum(each.numel() for each in weights),
                trainable=sum(each.numel() for each in weights if each.requires_grad),
                epochs=schedule.epochs,
                steps_per_epoch=training.batches.steps_per_epoch,
                batch=schedule.batch,
                accumulate=schedule.accumulate,
                metric="token accuracy",
                resumed_at=training.step,
            )
        )
        self.step.phase(TRAIN, training.batches.steps, "steps")
        self._checkpoint_due = time.monotonic() + schedule.checkpoint_s

    def _learn(self) -> None:
        training = self._training
        micro = training.batches.at(training.step)
        try:
            result = training.run_step()
        except NotANumber as problem:
            asked = self._examples["train"].asked
            names = ", ".join(asked[index].name for indices in micro for index in indices)
            raise Problem(f"{problem}; its images: {names[:500]}") from None
        record = self._record(result)
        self.step.item(record)
        self._draw(record)

    def _draw(self, record: TrainStep | EpochEnded) -> None:
        if self._events is not None:
            self._events.add(record)

    def _record(self, result: StepResult) -> TrainStep:
        epoch = 1 + (result.step - 1) // self._training.batches.steps_per_epoch
        return TrainStep(
            now(), result.step, epoch, result.loss, result.learning_rate, result.examples
        )

    def _end_epoch(self) -> None:
        """Look at the held-out examples and keep the adapter, as the last and perhaps the best.

        Without held-out examples each epoch is taken for the best.
        """
        training = self._training
        held_out, accuracy = self._held_out()
        best = held_out is None or held_out < training.best_loss
        if held_out is not None:
            training.best_loss = min(training.best_loss, held_out)
        save_adapter(training.model, self._artifacts.last)
        if best:
            save_adapter(training.model, self._artifacts.best)
        train_loss, rate = training.epoch_loss, training.learning_rate
        metrics = {} if accuracy is None else {"token accuracy": accuracy}
        ended = EpochEnded(now(), training.epoch, train_loss, held_out, rate, metrics, best)
        self.step.event(ended)
        self._draw(ended)
        self.step.phase(TRAIN, training.batches.steps, "steps")

    def _held_out(self) -> tuple[float | None, float | None]:
        examples = self._examples["val"]
        if not examples:
            return None, None
        self.step.phase("held-out loss", len(examples), "examples")
        loss, accuracy = mean_loss(
            self._training.model,
            self._encoder,
            examples,
            self._settings.schedule.batch,
            self.step.progress,
        )
        return (loss, accuracy) if math.isfinite(loss) else (math.inf, accuracy)

    def _stop_if_asked(self, owner: str) -> None:
        if self.step.stop_asked:
            self._save(owner)
            raise Stopped

    def _save(self, owner: str) -> None:
        write_checkpoint(self._artifacts.checkpoint, self._training.state(), owner)
        self._checkpoint_due = time.monotonic() + self._settings.schedule.checkpoint_s


def _owner(settings: FinetuneSettings, data: TaskData) -> str:
    """A hash of what a training's course depends on."""
    return hashlib.sha256(msgspec.json.encode((settings, data.sha256))).hexdigest()
