"""The training loop of LoRA: one optimiser step at a time, and a state that can be put back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch.nn import functional

from edgelab.problem import Problem
from edgelab.settings.finetune import Schedule
from runners.finetuning.encoding import IGNORED, Encoder, Inputs, on_device
from runners.finetuning.schedule import Batches, warm_cosine


class Examples(Protocol):
    """What is learned from: examples by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Inputs:
        """The encoded example; raises Problem where its image cannot be read."""


@dataclass(frozen=True)
class StepResult:
    """One step of the optimiser, as it was before the weights changed.

    `loss`: mean cross-entropy of an answer token, nats. `norm`: of the gradient, before clipping.
    """

    step: int
    loss: float
    learning_rate: float
    norm: float
    examples: int
    tokens: int


class NotANumber(Problem):
    """The loss or its gradient is NaN or infinite; the weights are still those before the step."""


class LoraTraining:
    """A fine-tuning between two steps.

    Its state is the adapter, the optimiser, the learning rate's schedule and the random generators;
    the order of the data follows from the number of the step (`Batches`). The base's weights never
    change and are in no state.
    """

    def __init__(
        self, model: PeftModel, encoder: Encoder, examples: Examples, schedule: Schedule
    ) -> None:
        self.model = model
        self.step = 0
        self.best_loss = math.inf
        self._epoch_loss, self._epoch_tokens = 0.0, 0
        self.batches = Batches(len(examples), schedule)
        self._encoder = encoder
        self._examples = examples
        self._max_norm = schedule.max_norm
        self._trained = [each for each in model.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, warm_cosine(self.batches.steps, schedule.warmup_share)
        )
        if schedule.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(schedule.seed)

    @property
    def over(self) -> bool:
        """True after the last step of the last epoch."""
        return self.step >= self.batches.steps

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.step // self.batches.steps_per_epoch

    @property
    def at_epoch_end(self) -> bool:
        """True where the last step was the last of its epoch."""
        return self.step > 0 and self.step % self.batches.steps_per_epoch == 0

    @property
    def epoch_loss(self) -> float:
        """Mean loss of an answer token in the epoch that is on, or was last over."""
        return self._epoch_loss / self._epoch_tokens

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._scheduler.get_last_lr()[0])

    def run_step(self) -> StepResult:
        """Learn from the next examples; raises NotANumber before a bad step spoils the adapter."""
        self.model.train()
        micro = self.batches.at(self.step)
        inputs = [self._batch(indices) for indices in micro]
        tokens = sum(answer_tokens(each) for each in inputs)
        self._optimizer.zero_grad()
        loss = 0.0
        for each in inputs:
            share = answer_loss(self.model, each) / tokens
            share.backward()
            loss += share.item()
        norm = float(torch.nn.utils.clip_grad_norm_(self._trained, self._max_norm))
        self._check(loss, norm)
        rate = self.learning_rate
        self._optimizer.step()
        self._scheduler.step()
        if self.step % self.batches.steps_per_epoch == 0:
            self._epoch_loss, self._epoch_tokens = 0.0, 0
        self._epoch_loss += loss * tokens
        self._epoch_tokens += tokens
        self.step += 1
        return StepResult(self.step, loss, rate, norm, sum(map(len, micro)), tokens)

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on: tensors and plain values."""
        return {
            "step": self.step,
            "best_loss": self.best_loss,
            "epoch_loss": (self._epoch_loss, self._epoch_tokens),
            "adapter": get_peft_model_state_dict(self.model),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the training that gave this state; a misfit raises KeyError or RuntimeError."""
        set_peft_model_state_dict(self.model, state["adapter"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])
        self.step = state["step"]
        self.best_loss = state["best_loss"]
        self._epoch_loss, self._epoch_tokens = state["epoch_loss"]

    def _batch(self, indices: Sequence[int]) -> Inputs:
        batch = self._encoder.batch([self._examples[index] for index in indices])
        return on_device(batch, self.model.device)

    def _check(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        raise NotANumber(
            f"the loss is {loss:g} and its gradient's norm {norm:g} at step {self.step + 1} of "
            f"{self.batches.steps}: lower the learning rate, or train on an fp32 base"
        )


def answer_tokens(inputs: Inputs) -> int:
    """How many tokens of the batch are learned."""
    return int((inputs["labels"] != IGNORED).sum())


def answer_loss(model: Any, inputs: Inputs) -> Any:
    """Summed cross-entropy of the batch's answer tokens, a scalar with gradient."""
    logits, targets = _predictions(model, inputs)
    return functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")


def _predictions(model: Any, inputs: Inputs) -> tuple[Any, Any]:
    """Logits (n, vocabulary) and the labels (n,) they are to predict, n covering all answers.

    Only the logits from the position before the first answer token on are computed: over a prompt
    of 1,024 image tokens and a vocabulary of 257,000 the others would take a gigabyte an image.
    """
    labels = inputs["labels"]
    first = int((labels != IGNORED).any(dim=0).nonzero()[0])
    rest = {name: value for name, value in inputs.items() if name != "labels"}
    kept = labels.shape[1] - first + 1
    logits = model(**rest, use_cache=False, logits_to_keep=kept).logits
    return logits[:, :-1].flatten(0, 1), labels[:, first:].flatten()


def mean_loss(
    model: Any,
    encoder: Encoder,
    examples: Examples,
    batch: int,
    on_batch: Callable[[int], None],
) -> tuple[float, float]:
    """Over all examples in evaluation mode, an answer token's mean cross-entropy, and the share of
    answer tokens that are the likeliest ones, given the true ones before.

    `on_batch` is told the number of examples done. The state of the random generators stays.
    """
    model.eval()
    total, right, tokens = 0.0, 0, 0
    for start in range(0, len(examples), batch):
        indices = range(start, min(start + batch, len(examples)))
        inputs = on_device(encoder.batch([examples[index] for index in indices]), model.device)
        with torch.inference_mode():
            logits, targets = _predictions(model, inputs)
            learned = targets != IGNORED
            chosen, wanted = logits[learned].float(), targets[learned]
            total += float(functional.cross_entropy(chosen, wanted, reduction="sum"))
            right += int((chosen.argmax(dim=-1) == wanted).sum())
        tokens += len(wanted)
        on_batch(indices.stop)
    return total / tokens, right / tokens
