"""Asking a question about an image, with each stage on the clock.

Generation is transformers' own; the stages are measured around its parts: the vision encoder is
wrapped, and each token reports when it is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

import torch
from PIL import Image
from transformers.generation.streamers import BaseStreamer

from edgelab.records import AskStages
from edgelab.settings.common import Language
from runners.asking.reply import Asked, OnStage, OnText, Stages, nobody
from runners.vlm.families import Vlm


class VisionMeter:
    """Stands for a model's `get_image_features`: times it, and can answer again from memory.

    An encoding is kept for one image at a time, under the key that `look_at` gave.
    """

    def __init__(self, seer: Any, on_stage: OnStage = nobody) -> None:
        self._on_stage = on_stage
        self._encode = seer.get_image_features
        self._key: object = None
        self._kept: Any = None
        self._share = False
        self.ms = 0.0
        self.shared = False
        # transformers' generate looks at it to know which inputs the encoder uses up.
        self.__signature__ = inspect.signature(self._encode)
        seer.get_image_features = self

    def look_at(self, key: object, *, share: bool) -> None:
        """The next image is `key`; where it is the last one again and may, it is not encoded."""
        if key != self._key or not share:
            self._kept = None
        self._key, self._share = key, share
        self.ms, self.shared = 0.0, False

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The image's features."""
        if self._kept is not None:
            self.shared = True
            return self._kept
        self._on_stage("vision encode")
        started = perf_counter_ns()
        found = self._encode(*arguments, **options)
        self.ms += (perf_counter_ns() - started) / 1e6
        self._on_stage("prefill")
        if self._share:
            self._kept = found
        return found


class Asker:
    """One loaded model that answers greedily, in at most `max_tokens` tokens.

    `share`: questions on the image before are answered from its encoding; what that saves is seen
    in the stages, where `vision_shared` labels it.
    """

    def __init__(
        self,
        vlm: Vlm,
        max_tokens: int,
        language: Language = "en",
        on_stage: OnStage = nobody,
    ) -> None:
        self.vlm = vlm
        self._max_tokens = max_tokens
        self._language = language
        self._enter = Stages(on_stage)
        self._meter = VisionMeter(vlm.seer, self._enter)

    def ask(
        self,
        key: object,
        image: Image.Image,
        question: str,
        *,
        share: bool = True,
        on_text: OnText | None = None,
    ) -> Asked:
        """The answer; raises StageOutOfMemory. `key` tells whether it is the image before again."""
        with self._enter.named():
            return self._ask(key, image, question, share, on_text)

    def _ask(
        self, key: object, image: Image.Image, question: str, share: bool, on_text: OnText | None
    ) -> Asked:
        self._enter("preprocess")
        self._meter.look_at(key, share=share)
        started = perf_counter_ns()
        inputs = self.vlm.inputs(image, question, self._language)
        ready = perf_counter_ns()
        self._enter("prefill")  # the vision encoder, which comes first, tells of itself
        clock = _TokenClock(self._heard(on_text))
        with torch.inference_mode():
            generated = self.vlm.model.generate(
                **inputs,
                **greedy(self._max_tokens),
                streamer=clock,
            )
        ids = self.vlm.new_tokens(generated, inputs)
        return Asked(
            text=self.vlm.text(ids),
            ids=ids,
            prompt_tokens=self.vlm.prompt_tokens(inputs),
            image_tokens=self.vlm.image_tokens(inputs),
            stages=self._stages(started, ready, clock),
            cut=len(ids) >= self._max_tokens and not self._ended(ids),
        )

    def _stages(self, started: int, ready: int, clock: _TokenClock) -> AskStages:
        """Milliseconds a stage; what is neither vision nor decoding is prefill."""
        vision = self._meter.ms
        return AskStages(
            preprocess=(ready - started) / 1e6,
            vision=vision,
            prefill=max(0.0, (clock.first - ready) / 1e6 - vision),
            first_token=(clock.first - started) / 1e6,
            decode=(clock.last - clock.first) / 1e6,
            vision_shared=self._meter.shared,
        )

    def _heard(self, on_text: OnText | None) -> Callable[[Sequence[int]], None]:
        def hear(ids: Sequence[int]) -> None:
            self._enter("decode")
            if on_text is not None:
                on_text(self.vlm.text(ids))

        return hear

    def _ended(self, ids: list[int]) -> bool:
        ends = self.vlm.model.generation_config.eos_token_id
        return bool(ids) and ids[-1] in (ends if isinstance(ends, list) else [ends])


def greedy(max_tokens: int) -> dict[str, Any]:
    """Always the likeliest token: the settings of transformers' generate that mean it."""
    return {
        "max_new_tokens": max_tokens,
        "do_sample": False,
        "num_beams": 1,
        "temperature": None,
        "top_p": None,
        "top_k": None,
    }


class _TokenClock(BaseStreamer):  # type: ignore[misc]
    """Notes when the first and the last token came."""

    def __init__(self, heard: Callable[[Sequence[int]], None]) -> None:
        self._heard = heard
        self._ids: list[int] = []
        self._prompt_seen = False
        self.first = self.last = perf_counter_ns()

    def put(self, value: Any) -> None:
        """Take the prompt, which comes first, or the next token."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.last = perf_counter_ns()
        if not self._ids:
            self.first = self.last
        self._ids += value.flatten().tolist()
        self._heard(self._ids)

    def end(self) -> None:
        """No more will come."""
