"""Where training computes, and in which number format."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from edgelab.problem import Problem


@dataclass(frozen=True)
class Device:
    """`mixed`: the format of matrix products beside float32, None for float32 throughout."""

    device: torch.device
    mixed: torch.dtype | None

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.device.type == "cuda":
            return str(torch.cuda.get_device_name(self.device))
        return str(self.device.type)

    @property
    def number_format(self) -> str:
        """fp32, or bf16 or fp16 mixed with it."""
        names = {torch.bfloat16: "bf16 mixed", torch.float16: "fp16 mixed"}
        return names[self.mixed] if self.mixed else "fp32"

    def autocast(self) -> AbstractContextManager[Any]:
        """Forward passes run inside this."""
        if self.mixed is None:
            return nullcontext()
        context: AbstractContextManager[Any] = torch.autocast(self.device.type, dtype=self.mixed)
        return context

    @property
    def scales(self) -> bool:
        """True where gradients are scaled, so that small ones survive float16."""
        return self.mixed is torch.float16


def open_device(
    wanted: Literal["auto", "cpu", "cuda"], mixed_precision: bool, number: int = 0
) -> Device:
    """The device asked for; raises Problem where it is not there. `number`: of several GPUs.

    A CPU computes in float32: there it is what can be repeated bit by bit.
    """
    cuda = torch.cuda.is_available()
    if wanted == "cuda" and not cuda:
        raise Problem("--device cuda: torch finds no CUDA device: leave it out, or use cpu")
    if wanted == "cpu" or not cuda:
        return Device(torch.device("cpu"), None)
    if number >= torch.cuda.device_count():
        raise Problem(
            f"--processes: a GPU each, and there are {torch.cuda.device_count()}: use fewer"
        )
    half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return Device(torch.device("cuda", number), half if mixed_precision else None)
