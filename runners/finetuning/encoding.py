"""From image, question and answer to tensors: only the answer's tokens are learned.

The answer is tokenised apart and appended to the prompt's tokens, so that the border between both
is exact whatever the tokenizer would have joined. Labels are -100 (torch's ignore_index) wherever
nothing is learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from runners.finetuning.base_model import BaseModel
from runners.images import Pixels

IGNORED = -100

Inputs = dict[str, Any]
"""The model's keyword arguments: tensors of the batch, or of Qwen2-VL's patches, along dim 0."""

# What a tensor of one value a token is continued with: behind the prompt by the answer, and behind
# the answer up to the longest example. Type 1 is PaliGemma's causal suffix behind its prefix, in
# which every token sees every other; Qwen2-VL's type 0 is text.
_ANSWER_VALUES = {"attention_mask": 1, "token_type_ids": 1, "mm_token_type_ids": 0}
_PADDING_VALUES = {
    "attention_mask": 0,
    "token_type_ids": 1,
    "mm_token_type_ids": 0,
    "labels": IGNORED,
}


class Encoder:
    """Makes the inputs of one model from images (BGR, uint8) and texts."""

    def __init__(self, base: BaseModel) -> None:
        self.processor = base.processor
        self.tokenizer = base.processor.tokenizer
        self._chats = base.model_type == "qwen2_vl"

    def prompt(self, image: Pixels, question: str) -> Inputs:
        """What the model is asked: inputs of batch size 1, ready for `generate`."""
        picture = Image.fromarray(image[:, :, ::-1])
        encoded = self.processor(images=picture, text=self._text(question), return_tensors="pt")
        return {name: value for name, value in encoded.items() if name != "labels"}

    def example(self, image: Pixels, question: str, answer: str) -> Inputs:
        """The prompt followed by the answer and the end-of-sequence token, with `labels`."""
        inputs = self.prompt(image, question)
        tokens = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        suffix = torch.tensor([[*tokens, self.tokenizer.eos_token_id]])
        prompt = inputs["input_ids"]
        for name, value in _ANSWER_VALUES.items():
            if name in inputs:
                inputs[name] = _continued(inputs[name], value, suffix.shape[1])
        inputs["input_ids"] = torch.cat([prompt, suffix], dim=1)
        inputs["labels"] = torch.cat([torch.full_like(prompt, IGNORED), suffix], dim=1)
        return inputs

    def batch(self, examples: Sequence[Inputs]) -> Inputs:
        """One batch of examples; the shorter ones are padded at their end."""
        length = max(example["input_ids"].shape[1] for example in examples)
        padding: Mapping[str, int] = {
            "input_ids": self.tokenizer.pad_token_id,
            **_PADDING_VALUES,
        }
        return {
            name: torch.cat([_padded(each[name], padding.get(name), length) for each in examples])
            for name in examples[0]
        }

    def decode(self, tokens: Any) -> str:
        """The text of generated tokens, special ones left out."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    def _text(self, question: str) -> str:
        if not self._chats:
            return f"<image>{question}"
        content = [{"type": "image"}, {"type": "text", "text": question}]
        messages = [{"role": "user", "content": content}]
        return str(
            self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )


def on_device(inputs: Inputs, device: Any) -> Inputs:
    """The same tensors where the model is."""
    return {name: value.to(device) for name, value in inputs.items()}


def _continued(tensor: Any, value: int, count: int) -> Any:
    return torch.cat([tensor, tensor.new_full((1, count), value)], dim=1)


def _padded(tensor: Any, value: int | None, length: int) -> Any:
    """The tensor of one example, (1, n), as (1, length); pixels, without a value, as they are."""
    if value is None:
        return tensor
    return _continued(tensor, value, length - tensor.shape[1])
