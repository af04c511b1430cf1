"""Ask: put questions on images to a vision-language model."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import Language, NotNegative, Scenario, Text


class AskSettings(MeasureSettings, frozen=True, kw_only=True, tag="ask"):
    """One vision-language model asked about the images of one dataset, in one or more precisions.

    `model` is a catalogue name, a hub id (of `revision`), or the folder of a checkpoint or of its
    three ONNX files. `prompts` is a profile of prompts, or a .toml file; it says what is asked for:
    a count of each class, an image's class, the answers to the data's own questions, or a
    description. `prompt` is the one of them that is used, in `language`.

    `max_pixels`: what is seen of an image at most, where the model's image size is not fixed.
    `tiling`: SmolVLM also looks at tiles of the image. `share_encoding`: questions on one image are
    answered from one encoding of it. `warmup` counts questions.
    """

    revision: Text | None = None
    prompts: Text = "counting"
    prompt: Text = "plural"
    language: Language = "en"
    max_new_tokens: Annotated[int, Meta(ge=1, le=4096)] = 16
    max_pixels: Annotated[int, Meta(ge=784)] | None = None
    tiling: bool = False
    share_encoding: bool = True
    warmup: NotNegative = 1

    @property
    def detail(self) -> str:
        """What is not as usual: the prompt, how closely images are looked at, how often encoded."""
        told = {
            self.prompt: self.prompt != "plural",
            self.language: self.language != "en",
            "tiles": self.tiling,
            f"at most {self.max_pixels} px": self.max_pixels is not None,
            "every question encoded": not self.share_encoding,
        }
        return ", ".join(words for words, unusual in told.items() if unusual)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scenario is not Scenario.SINGLE_STREAM:
            raise ValueError("questions are asked one after the other: scenario is single-stream")
