"""Fine-tune: teach a vision-language model a task by low-rank adapters (LoRA)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.settings.base import TaskSettings, must_differ
from edgelab.settings.common import NotNegative, Positive, Text

Above0 = Annotated[float, Meta(gt=0.0)]
Below1 = Annotated[float, Meta(ge=0.0, lt=1.0)]


class Part(StrEnum):
    """A part of a vision-language model that adapters can be put into."""

    LLM = "llm"
    VISION = "vision"
    PROJECTOR = "projector"


class BasePrecision(StrEnum):
    """The number format of the frozen base; with INT8 and NF4 it is QLoRA. Adapters are FP32."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"
    NF4 = "nf4"

    @property
    def quantised(self) -> bool:
        """True where the base's weights are rounded to integers or 4-bit codes."""
        return self in (BasePrecision.INT8, BasePrecision.NF4)


class Lora(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which parts get adapters, and of what kind: weights are changed by (alpha / rank) B A."""

    parts: Annotated[tuple[Part, ...], Meta(min_length=1)] = (Part.LLM,)
    rank: Annotated[int, Meta(ge=1, le=1024)] = 8
    alpha: Above0 = 16.0
    dropout: Below1 = 0.05

    def __post_init__(self) -> None:
        must_differ("lora.parts", self.parts)


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how fast is learned: AdamW, a linear warm-up, then half a cosine down to 0.

    One step of the optimiser sees `batch` x `accumulate` examples; `max_norm` clips the gradient.
    """

    epochs: Positive = 3
    batch: Positive = 4
    accumulate: Positive = 1
    learning_rate: Above0 = 2e-4
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    warmup_share: Below1 = 0.05
    max_norm: Above0 = 1.0
    seed: NotNegative = 0
    gradient_checkpointing: bool = False
    checkpoint_s: Annotated[float, Meta(ge=0.0)] = 60.0


class FinetuneSettings(TaskSettings, frozen=True, kw_only=True, tag="finetune"):
    """One model fine-tuned on one data set, measured before (zero-shot) and after.

    `model` is a catalogue name, a hub id (of `revision`) or a folder. `dataset`: for classes as
    for a training; for questions a catalogue name, or a .csv of image, question and answer, whose
    paths begin at `images`. Data without splits are split by class and seed: `val_share` and
    `test_share` of them are held out.

    `prompts` is a profile of prompts, or a .toml file; it says what is learned, an image's class or
    the answers to the data's own questions. All its prompts are asked before, `prompt` is learned.
    `merge`: also write the model with the adapter merged into its unquantised weights. `limit`
    bounds the images of each split. `max_pixels`: what Qwen2-VL sees of an image at most.
    """

    images: Text | None = None
    revision: Text | None = None
    val_share: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.1
    test_share: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.2
    limit: Positive | None = None
    prompts: Text = "chart-classification"
    prompt: Text = "second"
    lora: Lora = Lora()
    precision: BasePrecision = BasePrecision.FP32
    schedule: Schedule = Schedule()
    zero_shot: bool = True
    max_new_tokens: Annotated[int, Meta(ge=1, le=512)] = 16
    max_pixels: Annotated[int, Meta(ge=784)] | None = None
    merge: Literal["fp32", "bf16"] | None = None
    tensorboard: bool = False

    @property
    def detail(self) -> str:
        """Where the adapters sit, and what the base's weights are."""
        return f"{'+'.join(self.lora.parts)} {self.precision.value}"

    @property
    def trains_vision(self) -> bool:
        """True where the vision tower has adapters."""
        return Part.VISION in self.lora.parts

    @property
    def title(self) -> str:
        """What a run of these settings is called."""
        return f"{Path(self.model).name} tuned on {Path(self.dataset).stem}"
