"""The families of vision-language models: how a question becomes a prompt, and what is counted.

| family | `model_type` | prompt | image tokens |
|---|---|---|---|
| SmolVLM, SmolVLM2 | idefics3, smolvlm | chat | as many an image or tile |
| Qwen2-VL, Qwen2.5-VL | qwen2_vl, qwen2_5_vl | chat | a token on 28 x 28 px |
| PaliGemma 1, 2 | paligemma | `answer en ...` | fixed by the model's image size |
| MobileVLM V2 | mobilevlm | vicuna's | 144 |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, sqrt
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from transformers import AutoProcessor, AutoTokenizer, CLIPImageProcessor

from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.common import Language
from runners.vlm.mobilevlm import GRID, MODEL_TYPES, MobileVlm, read_config

Inputs = dict[str, Any]
"""What a model's `generate` takes: tensors by name."""


@dataclass(frozen=True)
class Seeing:
    """How closely an image is looked at. `max_pixels`: None for the model's own bound.

    `tiling`: SmolVLM also looks at tiles of the image; other families have none.
    """

    max_pixels: int | None = None
    tiling: bool = False


class Vlm(Protocol):
    """One loaded model, from an image and a question to tokens."""

    @property
    def model(self) -> Any:
        """The network, with `generate`."""

    @property
    def seer(self) -> Any:
        """The module whose `get_image_features` encodes an image."""

    def inputs(self, image: Image.Image, question: str, language: Language) -> Inputs:
        """The prompt with the image in it, preprocessed."""

    def image_tokens(self, inputs: Inputs) -> int:
        """Tokens of the prompt that stand for the image."""

    def prompt_tokens(self, inputs: Inputs) -> int:
        """All tokens of the prompt, image included."""

    def new_tokens(self, generated: Any, inputs: Inputs) -> list[int]:
        """The answer's ids in what `generate` returned."""

    def text(self, ids: Sequence[int]) -> str:
        """Ids as text, without special tokens."""


class HubVlm:
    """A model of transformers with its processor; a subclass knows the family's prompt."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model
        self.processor = processor
        self.seer = model.model
        self._image_id = model.config.image_token_id

    def prompt(self, question: str, language: Language) -> str:
        """The text that the processor puts the image's tokens into."""
        raise NotImplementedError

    def inputs(self, image: Image.Image, question: str, language: Language) -> Inputs:
        """As the processor makes them, on the model's device."""
        text = self.prompt(question, language)
        made = self.processor(images=[image], text=[text], return_tensors="pt")
        made.pop("labels", None)  # PaliGemma's processor gives them to whoever asks a question
        return dict(made.to(self.model.device))

    def image_tokens(self, inputs: Inputs) -> int:
        """Placeholders in the prompt."""
        return int((inputs["input_ids"] == self._image_id).sum())

    def prompt_tokens(self, inputs: Inputs) -> int:
        """Length of the prompt."""
        return int(inputs["input_ids"].shape[1])

    def new_tokens(self, generated: Any, inputs: Inputs) -> list[int]:
        """What follows the prompt."""
        ids: list[int] = generated[0, self.prompt_tokens(inputs) :].tolist()
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """Decoded by the processor's tokenizer."""
        return str(self.processor.tokenizer.decode(ids, skip_special_tokens=True))


class SmolVlm(HubVlm):
    """SmolVLM and SmolVLM2: a chat of one message."""

    def prompt(self, question: str, language: Language) -> str:  # noqa: ARG002
        """As the chat template of every published SmolVLM writes it."""
        return f"<|im_start|>User:<image>{question}<end_of_utterance>\nAssistant:"


class QwenVl(HubVlm):
    """Qwen2-VL and Qwen2.5-VL: a chat with Qwen's system message."""

    def prompt(self, question: str, language: Language) -> str:  # noqa: ARG002
        """As the chat template of both generations writes it."""
        return (
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
            f"{question}<|im_end|>\n<|im_start|>assistant\n"
        )


class PaliGemma(HubVlm):
    """PaliGemma 1 and 2: a task prefix, as their mixtures were trained with."""

    def prompt(self, question: str, language: Language) -> str:
        """Big Vision's question answering prefix."""
        return f"<image>answer {language} {question}"


class MobileVlmV2:
    """MobileVLM V2 with its tokenizer and CLIP's image processor."""

    SYSTEM = (
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions."
    )

    def __init__(self, model: MobileVlm, tokenizer: Any, images: Any, *, padded: bool) -> None:
        self.model = model
        self.seer = model
        self._tokenizer = tokenizer
        self._images = images
        self._padded = padded

    def inputs(self, image: Image.Image, question: str, language: Language) -> Inputs:  # noqa: ARG002
        """Ids before and behind the image, and its pixels."""
        before = self._tokenizer(f"{self.SYSTEM} USER: ", return_tensors="pt").input_ids
        after = self._tokenizer(
            f"\n{question} ASSISTANT:", return_tensors="pt", add_special_tokens=False
        ).input_ids
        pixels = self._images(self._square(image), return_tensors="pt").pixel_values
        device = self.model.device
        return {
            "before": before.to(device),
            "after": after.to(device),
            "pixel_values": pixels.to(device, self.model.dtype),
        }

    def image_tokens(self, inputs: Inputs) -> int:  # noqa: ARG002
        """The projector's grid."""
        return GRID * GRID

    def prompt_tokens(self, inputs: Inputs) -> int:
        """Text on both sides and the grid."""
        return int(inputs["before"].shape[1] + inputs["after"].shape[1]) + GRID * GRID

    def new_tokens(self, generated: Any, inputs: Inputs) -> list[int]:  # noqa: ARG002
        """From embeddings, transformers returns the new ones only."""
        ids: list[int] = generated[0].tolist()
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """Decoded by the Llama's tokenizer."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _square(self, image: Image.Image) -> Image.Image:
        """Padded to a square with CLIP's mean colour, as `image_aspect_ratio = "pad"` means."""
        width, height = image.size
        side = max(width, height)
        if not self._padded or width == height:
            return image
        colour = tuple(int(255 * mean) for mean in self._images.image_mean)
        square = Image.new("RGB", (side, side), colour)
        square.paste(image, ((side - width) // 2, (side - height) // 2))
        return square


_HUB: dict[str, type[HubVlm]] = {
    "idefics3": SmolVlm,
    "smolvlm": SmolVlm,
    "qwen2_vl": QwenVl,
    "qwen2_5_vl": QwenVl,
    "paligemma": PaliGemma,
}


def model_type_of(folder: Path) -> str:
    """The `model_type` of a checkpoint; raises Problem where no family of ours has it."""
    raw = read_json(folder / "config.json", dict)
    found = str(raw.get("model_type"))
    if found not in _HUB and found not in MODEL_TYPES:
        known = ", ".join(sorted({*_HUB, MODEL_TYPES[0]}))
        raise Problem(f"{folder}/config.json: model_type = {found!r}: known are {known}")
    return found


def open_hub(folder: Path, model: Any, seeing: Seeing) -> Vlm:
    """The family of a loaded model of transformers, with its processor."""
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    model_type = model_type_of(folder)
    look(model_type, processor, seeing)
    return _HUB[model_type](model, processor)


def look(model_type: str, processor: Any, seeing: Seeing) -> None:
    """Have a model's processor look at images so closely; raises Problem where it cannot."""
    _SEEING.get(model_type, _no_seeing)(processor.image_processor, seeing)


def open_mobilevlm(folder: Path, model: MobileVlm, seeing: Seeing) -> Vlm:
    """The loaded MobileVLM with its tokenizer; its image size is its tower's."""
    _no_seeing(None, seeing)
    config = read_config(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    side = model.tower.config.image_size
    images = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    padded = config.image_aspect_ratio == "pad"
    return MobileVlmV2(model, tokenizer, images, padded=padded)


def _bound_qwen(images: Any, seeing: Seeing) -> None:
    if seeing.max_pixels is not None:
        least = min(images.size["shortest_edge"], seeing.max_pixels)
        images.size = {"shortest_edge": least, "longest_edge": seeing.max_pixels}


def _bound_smolvlm(images: Any, seeing: Seeing) -> None:
    """Without tiling one square of the tile's size is seen; with it, as many as fit the bound."""
    images.do_image_splitting = seeing.tiling
    if seeing.max_pixels is not None:
        tile = images.max_image_size["longest_edge"]
        tiles = max(1, floor(sqrt(seeing.max_pixels) / tile))
        images.size = {"longest_edge": tiles * tile}


def _no_seeing(_: Any, seeing: Seeing) -> None:
    if seeing.max_pixels is not None:
        raise Problem("max_pixels is for SmolVLM and Qwen2-VL: this model's image size is fixed")


_SEEING = {
    "qwen2_vl": _bound_qwen,
    "qwen2_5_vl": _bound_qwen,
    "idefics3": _bound_smolvlm,
    "smolvlm": _bound_smolvlm,
}
