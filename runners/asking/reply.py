"""What any engine that answers questions gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from edgelab.executed import ExecutedPrecision
from edgelab.records import AskStages
from runners.images import Pixels
from runners.memory import is_out_of_memory

OnStage = Callable[[str], None]
"""Told which stage begins: load, quantise, preprocess, vision encode, prefill, decode."""

OnText = Callable[[str], None]
"""Told the answer so far, with every token."""


def nobody(_: str) -> None:
    """Hears of stages where nobody wants to."""


@dataclass(frozen=True)
class Asked:
    """An answer: its text, its token ids, and what it took. `cut`: it ended at the token limit."""

    text: str
    ids: list[int]
    prompt_tokens: int
    image_tokens: int
    stages: AskStages
    cut: bool


class Stages:
    """The stage that an engine is in; whoever listens is told when another begins."""

    def __init__(self, on_stage: OnStage = nobody) -> None:
        self._on_stage = on_stage
        self.now = ""

    def __call__(self, stage: str) -> None:
        """It begins."""
        if stage != self.now:
            self.now = stage
            self._on_stage(stage)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Where memory runs out inside, raise StageOutOfMemory with the stage it ran out in."""
        try:
            yield
        except Exception as error:
            if is_out_of_memory(error):
                raise StageOutOfMemory(f"in the stage {self.now}: {error}") from error
            raise


class StageOutOfMemory(MemoryError):  # noqa: N818 - a word of the field
    """An allocation failed; the text says in which stage."""


class Engine(Protocol):
    """One loaded model that answers greedily. `runtime`: the library that computes."""

    runtime: str

    def executed(self) -> ExecutedPrecision | None:
        """What it computes in, read from the loaded model; None where the files have told it."""

    def picture(self, pixels: Pixels) -> Any:
        """The decoded image as the model's own preparation takes it."""

    def ask(
        self, key: object, picture: Any, question: str, *, share: bool, on_text: OnText | None
    ) -> Asked:
        """The answer; raises StageOutOfMemory. `key` tells whether it is the image before again."""
