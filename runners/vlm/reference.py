"""A SmolVLM's answers by transformers, on the pixels that the runner without torch prepares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from edgelab.settings.common import Precision
from runners.smolvlm.config import read_image_config
from runners.smolvlm.reference import MOST_TOKENS, Floats, Reply, picture, questions
from runners.smolvlm.tiles import cut
from runners.vlm.asking import greedy
from runners.vlm.families import Seeing, Vlm
from runners.vlm.loading import load_vlm

OnReply = Callable[[int], None]


class TorchReference:
    """The checkpoint of a folder in FP32; raises Problem where it cannot be loaded."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._images = read_image_config(folder)
        self._vlm: Vlm = load_vlm(folder, Precision.FP32, Seeing())

    def replies(self, on_reply: OnReply) -> tuple[list[Reply], list[Floats]]:
        """All replies and their logits; `on_reply` is told how many are there."""
        found = []
        for number, (image, question) in enumerate(questions(), start=1):
            found.append(self._reply(image, question))
            on_reply(number)
        replies, logits = zip(*found, strict=True)
        return list(replies), list(logits)

    def _reply(self, image: int, question: str) -> tuple[Reply, Floats]:
        pixels = picture(image)
        inputs = self._vlm.inputs(Image.fromarray(pixels[:, :, ::-1]), question, "en")
        # transformers' own preparation rounds otherwise where torchvision is installed.
        tiles = torch.from_numpy(cut(pixels, self._images, None, split=False).pixels[None])
        inputs["pixel_values"] = tiles.to(self._vlm.model.device)
        with torch.inference_mode():
            made: Any = self._vlm.model.generate(
                **inputs,
                **greedy(MOST_TOKENS),
                output_logits=True,
                return_dict_in_generate=True,
            )
        logits: Floats = torch.cat(made.logits).float().cpu().numpy()
        tokens = tuple(self._vlm.new_tokens(made.sequences, inputs))
        prompt = tuple(inputs["input_ids"][0].tolist())
        return Reply(image, question, prompt, tokens), logits
