"""Questions about images, answered by the three ONNX files: greedily, token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import OrtValue

from edgelab.problem import Problem
from runners.asking.reply import OnStage, nobody
from runners.images import Pixels
from runners.session import open_session, refusals_as_problems, session_options
from runners.smolvlm.config import end_tokens, read_config, read_image_config
from runners.smolvlm.layout import find_layout
from runners.smolvlm.prompt import Prompts
from runners.smolvlm.tiles import Tiles, cut

PAST, PRESENT = "past_key_values", "present"

_VISION_INPUTS = ("pixel_values", "pixel_attention_mask")
_EMBED_INPUTS = ("input_ids",)
_DECODER_INPUTS = ("inputs_embeds", "attention_mask", "position_ids")
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

Floats = NDArray[np.float32]
OnText = Callable[[str], None]


@dataclass(frozen=True)
class Seen:
    """An encoded image, good for any number of questions. `features`: (tiles, tokens, width)."""

    tiles: Tiles
    features: Floats
    preprocess_ms: float
    vision_ms: float

    @property
    def tokens(self) -> int:
        """Image tokens that it takes in the prompt."""
        return int(self.features.shape[0] * self.features.shape[1])


@dataclass(frozen=True)
class Answer:
    """What the model said. `prefill_ms`: until the first token; `decode_ms`: all others.

    `cut`: it ended at the limit of tokens, not by itself.
    """

    text: str
    tokens: tuple[int, ...]
    prompt_tokens: int
    prefill_ms: float
    decode_ms: float
    cut: bool

    @property
    def tokens_per_s(self) -> float | None:
        """Speed of decoding, the first token apart; None where there was no other."""
        others = len(self.tokens) - 1
        return 1000 * others / self.decode_ms if others and self.decode_ms else None


class SmolVlm:
    """A SmolVLM folder with `onnx/` files, loaded in one precision.

    `on_stage` hears which stage begins. Raises Problem where the folder is not one, or lacks that
    precision.
    """

    def __init__(
        self, folder: Path, precision: str, threads: int, on_stage: OnStage = nobody
    ) -> None:
        self._on_stage = on_stage
        self._folder = folder
        config = read_config(folder)
        files = find_layout(folder, precision)
        self._image_token = config.image_token_id
        self._ends = end_tokens(folder, config)
        self._images = read_image_config(folder)
        self._prompts = Prompts(folder, config.tile_tokens)
        options = session_options(threads)
        self._vision = _opened(files.vision_encoder, options, _VISION_INPUTS)
        self._embed = _opened(files.embed_tokens, options, _EMBED_INPUTS)
        self._decoder = _Decoder(_opened(files.decoder, options, _DECODER_INPUTS))

    def look(
        self, image: Pixels, longest_edge: int | None = None, split: bool | None = None
    ) -> Seen:
        """Encode an image; None: tiled as the model's own files say."""
        self._on_stage("preprocess")
        started = perf_counter_ns()
        tiles = cut(image, self._images, longest_edge, split)
        cut_at = perf_counter_ns()
        self._on_stage("vision encode")
        with refusals_as_problems(self._folder):
            features = np.concatenate([self._encoded(tile) for tile in tiles.pixels])
        return Seen(tiles, features, (cut_at - started) / 1e6, (perf_counter_ns() - cut_at) / 1e6)

    def answer(
        self, seen: Seen, question: str, most_tokens: int, on_text: OnText | None = None
    ) -> Answer:
        """At most `most_tokens` tokens; `on_text` is told of the answer as it grows."""
        self._on_stage("prefill")
        started = perf_counter_ns()
        ids = self.prompt(seen, question)
        tokens: list[int] = []
        first = started
        text = _Text(self._prompts.tokenizer, on_text)
        with refusals_as_problems(self._folder):
            for token in self._generated(self._embedded(ids, seen.features), most_tokens):
                if not tokens:
                    first = perf_counter_ns()
                    self._on_stage("decode")
                tokens.append(token)
                text.add(token)
        ended = perf_counter_ns()
        return Answer(
            text=text.whole,
            tokens=tuple(tokens),
            prompt_tokens=len(ids),
            prefill_ms=(first - started) / 1e6,
            decode_ms=(ended - first) / 1e6,
            cut=len(tokens) >= most_tokens and tokens[-1] not in self._ends,
        )

    def prompt(self, seen: Seen, question: str) -> list[int]:
        """The ids of the whole prompt."""
        return self._prompts.tokens(question, seen.tiles)

    def next_logits(self, seen: Seen, question: str, answer: Sequence[int]) -> Floats:
        """Logits (tokens of `answer`, vocabulary): each row behind the tokens before it."""
        self._decoder.forget()
        embeds = self._embedded(self.prompt(seen, question), seen.features)
        rows = []
        for token in answer:
            rows.append(self._decoder.next_logits(embeds))
            embeds = self._embedding(token)
        return np.stack(rows).astype(np.float32, copy=False)

    def _encoded(self, tile: Floats) -> Floats:
        """One tile at a time: the attention of all at once would take many times the memory."""
        given = {
            "pixel_values": tile[None, None],
            "pixel_attention_mask": np.ones((1, 1, *tile.shape[1:]), np.bool_),
        }
        features: Floats = _run(self._vision, given)
        return features.reshape(1, -1, features.shape[-1]).astype(np.float32, copy=False)

    def _embedded(self, ids: list[int], features: Floats) -> Floats:
        """The prompt's embeddings, the image's own in the place of its tokens."""
        array = np.array([ids], np.int64)
        embeds: Floats = _run(self._embed, {"input_ids": array}).astype(np.float32, copy=False)
        places = array == self._image_token
        rows = features.reshape(-1, features.shape[-1])
        if places.sum() != len(rows):
            raise Problem(
                f"the prompt has {places.sum()} image tokens and the image {len(rows)}: a question "
                "must not contain <image>, and config.json, tokenizer.json and the .onnx files "
                "must be of one model"
            )
        embeds[places] = rows
        return embeds

    def _generated(self, embeds: Floats, most_tokens: int) -> Iterator[int]:
        self._decoder.forget()
        for _ in range(most_tokens):
            token = int(self._decoder.next_logits(embeds).argmax())
            yield token
            if token in self._ends:
                return
            embeds = self._embedding(token)

    def _embedding(self, token: int) -> Floats:
        embeds: Floats = _run(self._embed, {"input_ids": np.array([[token]], np.int64)})
        return embeds


class _Decoder:
    """The decoder and its cache, which never leaves ONNX Runtime's memory."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = {each.name: each for each in session.get_inputs()}
        self._past = [name for name in self._inputs if name.startswith(PAST)]
        self._outputs = ["logits", *(name.replace(PAST, PRESENT) for name in self._past)]
        self._cache: dict[str, Any] = {}
        self._length = 0

    def forget(self) -> None:
        """Begin anew, with an empty cache."""
        self._length = 0
        self._cache = {name: _value(self._empty(name)) for name in self._past}

    def next_logits(self, embeds: Floats) -> Floats:
        """Logits (vocabulary) behind the last of `embeds` (1, tokens, hidden)."""
        new = embeds.shape[1]
        positions = np.arange(self._length, self._length + new, dtype=np.int64)[None]
        self._length += new
        given = {
            "inputs_embeds": embeds.astype(self._dtype("inputs_embeds"), copy=False),
            "attention_mask": np.ones((1, self._length), np.int64),
            "position_ids": positions,
        }
        feeds = {name: _value(array) for name, array in given.items() if name in self._inputs}
        logits, *present = self._session.run_with_ort_values(self._outputs, feeds | self._cache)
        self._cache = dict(zip(self._past, present, strict=True))
        last: Floats = logits.numpy()[0, -1]
        return last

    def _empty(self, name: str) -> NDArray[Any]:
        _, heads, _, size = self._inputs[name].shape
        return np.zeros((1, heads, 0, size), self._dtype(name))

    def _dtype(self, name: str) -> type:
        return _DTYPES[self._inputs[name].type]


class _Text:
    """The answer as text, growing: a character of several tokens appears with its last."""

    def __init__(self, tokenizer: Any, on_text: OnText | None) -> None:
        from tokenizers.decoders import DecodeStream

        self._stream = DecodeStream(skip_special_tokens=True)
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._tokens: list[int] = []

    def add(self, token: int) -> None:
        """One more token."""
        self._tokens.append(token)
        piece = self._stream.step(self._tokenizer, token)
        if piece and self._on_text is not None:
            self._on_text(piece)

    @property
    def whole(self) -> str:
        """All of it, special tokens left out."""
        text: str = self._tokenizer.decode(self._tokens, skip_special_tokens=True)
        return text


def _opened(file: Path, options: Any, inputs: tuple[str, ...]) -> Any:
    """The graph with these inputs, of which the first is needed; raises Problem for another."""
    session = open_session(file, options)
    found = [each.name for each in session.get_inputs()]
    others = [name for name in found if name not in inputs and not name.startswith(PAST)]
    if others or inputs[0] not in found:
        raise Problem(f"{file}: no part of a SmolVLM: takes {', '.join(found)}")
    return session


def _run(session: Any, given: dict[str, NDArray[Any]]) -> Any:
    """The first output; what the session does not take is left out, floats are as it wants them."""
    feeds = {}
    for each in session.get_inputs():
        array = given[each.name]
        feeds[each.name] = array.astype(_DTYPES.get(each.type, array.dtype), copy=False)
    return session.run(None, feeds)[0]


def _value(array: NDArray[Any]) -> Any:
    return OrtValue.ortvalue_from_numpy(array)
