"""The engine without torch: SmolVLM's three ONNX files."""

from __future__ import annotations

from math import floor, sqrt
from pathlib import Path

from edgelab.records import AskStages
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from runners.asking.reply import Asked, OnStage, OnText, Stages, nobody
from runners.images import Pixels
from runners.session import RUNTIME
from runners.smolvlm.config import read_image_config
from runners.smolvlm.model import Seen, SmolVlm


class OnnxEngine:
    """A SmolVLM on ONNX Runtime; see `runners.asking.reply.Engine`."""

    runtime = RUNTIME

    def __init__(
        self, folder: Path, precision: Precision, settings: AskSettings, on_stage: OnStage = nobody
    ) -> None:
        self._stages = Stages(on_stage)
        self._stages("load")
        self._model = SmolVlm(folder, precision.value, settings.threads, self._stages)
        self._most_tokens = settings.max_new_tokens
        self._tiling = settings.tiling
        self._longest_edge = _longest_edge(folder, settings.max_pixels)
        self._key: object = None
        self._seen: Seen | None = None

    def executed(self) -> None:
        """The files have told it: `runners.asking.prepare`."""

    def picture(self, pixels: Pixels) -> Pixels:
        """As it is."""
        return pixels

    def ask(
        self, key: object, picture: Pixels, question: str, *, share: bool, on_text: OnText | None
    ) -> Asked:
        """The answer; raises StageOutOfMemory."""
        with self._stages.named():
            return self._ask(key, picture, question, share, on_text)

    def _ask(
        self, key: object, picture: Pixels, question: str, share: bool, on_text: OnText | None
    ) -> Asked:
        shared = share and self._seen is not None and key == self._key
        if not shared:
            self._seen = None  # before the next one is made: never two at once
            self._seen = self._model.look(picture, self._longest_edge, self._tiling)
            self._key = key
        seen = self._seen
        assert seen is not None
        answer = self._model.answer(seen, question, self._most_tokens, _whole(on_text))
        preprocess, vision = (0.0, 0.0) if shared else (seen.preprocess_ms, seen.vision_ms)
        return Asked(
            text=answer.text,
            ids=list(answer.tokens),
            prompt_tokens=answer.prompt_tokens,
            image_tokens=seen.tokens,
            stages=AskStages(
                preprocess=preprocess,
                vision=vision,
                prefill=answer.prefill_ms,
                first_token=preprocess + vision + answer.prefill_ms,
                decode=answer.decode_ms,
                vision_shared=shared,
            ),
            cut=answer.cut,
        )


def _longest_edge(folder: Path, max_pixels: int | None) -> int | None:
    """The edge of as many whole tiles as the bound has room for, px; None without a bound."""
    if max_pixels is None:
        return None
    tile = read_image_config(folder).max_image_size.longest_edge
    return tile * max(1, floor(sqrt(max_pixels) / tile))


def _whole(on_text: OnText | None) -> OnText | None:
    """Pieces of an answer put together, for who wants to hear all of it each time."""
    if on_text is None:
        return None
    told = on_text
    text = ""

    def hear(piece: str) -> None:
        nonlocal text
        text += piece
        told(text)

    return hear
