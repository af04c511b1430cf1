"""Text around an image: the model's own chat template, and a place for every image token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgelab.problem import Problem
from runners.extras import needs
from runners.smolvlm.config import chat_template
from runners.smolvlm.tiles import Tiles

IMAGE, FAKE, GLOBAL = "<image>", "<fake_token_around_image>", "<global-img>"


class Prompts:
    """Makes the token ids of a question about one image. Raises Problem on a damaged folder."""

    def __init__(self, folder: Path, tile_tokens: int) -> None:
        with needs("vlm-onnx", "asking a SmolVLM"):
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
            from tokenizers import Tokenizer
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise Problem(f"{file}: missing: copy it from the model")
        try:
            self.tokenizer: Any = Tokenizer.from_file(str(file))
        except Exception as error:  # the class of all that tokenizers raises
            raise Problem(f"{file}: no tokenizer ({_one_line(error)})") from None
        self._folder = folder
        self._tile_tokens = tile_tokens
        # As in transformers: a template is data, and runs where it can change nothing.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            self._template = environment.from_string(chat_template(folder))
        except TemplateError as error:
            raise Problem(f"{folder}: its chat template is no Jinja template ({error})") from None

    def tokens(self, question: str, tiles: Tiles) -> list[int]:
        """The ids of the whole prompt, image tokens included."""
        text = self.text(question).replace(IMAGE, self.image_text(tiles.rows, tiles.columns), 1)
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def text(self, question: str) -> str:
        """The conversation with one `<image>` before the question, ready for the answer."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        messages = [{"role": "user", "content": content}]
        try:
            return self._template.render(messages=messages, add_generation_prompt=True)
        except MemoryError:
            raise
        except Exception as error:  # a template is a program: it can fail in any way
            why = f"{type(error).__name__}: {_one_line(error)}"
            raise Problem(f"{self._folder}: its chat template fails ({why})") from None

    def image_text(self, rows: int, columns: int) -> str:
        """What stands for the image: tiles row by row, each named, then the whole image."""
        tokens = IMAGE * self._tile_tokens
        whole = f"{FAKE}{GLOBAL}{tokens}{FAKE}"
        if not rows:
            return whole
        lines = (
            "".join(f"{FAKE}<row_{row}_col_{column}>{tokens}" for column in range(1, columns + 1))
            for row in range(1, rows + 1)
        )
        return "\n".join([*lines, "", whole])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
