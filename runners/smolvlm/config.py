"""What a SmolVLM folder says of itself: config.json and the processor's files, old and new layout.

Defaults are those of transformers' Idefics3Config, LlamaConfig and Idefics3ImageProcessor: a
config.json leaves out what equals them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgelab.problem import Problem
from edgelab.schema import SchemaProblem, convert, read_json
from edgelab.settings.common import Positive

AboveZero = Annotated[float, Meta(gt=0)]
Colour = tuple[float, float, float]
TokenIds = int | tuple[int, ...] | None


class Rope(msgspec.Struct, frozen=True):
    """Rotary position embedding; newer configs say `rope_type`, older ones `type`."""

    rope_theta: AboveZero | None = None
    rope_type: str = "default"
    type: str = "default"


class TextConfig(msgspec.Struct, frozen=True):
    """The decoder: a Llama."""

    model_type: Literal["llama"] = "llama"
    vocab_size: Positive = 32000
    hidden_size: Positive = 4096
    intermediate_size: Positive = 11008
    num_hidden_layers: Positive = 32
    num_attention_heads: Positive = 32
    num_key_value_heads: Positive | None = None
    head_dim: Positive | None = None
    hidden_act: Literal["silu"] = "silu"
    max_position_embeddings: Positive = 2048
    rms_norm_eps: AboveZero = 1e-5
    attention_bias: Literal[False] = False
    mlp_bias: Literal[False] = False
    rope_theta: AboveZero = 10000.0
    rope_scaling: Rope | None = None
    rope_parameters: Rope | None = None
    eos_token_id: TokenIds = None

    @property
    def key_value_heads(self) -> int:
        """Heads of keys and values; several query heads share one."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Numbers a head has."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def theta(self) -> float:
        """The base of the rotary embedding."""
        newer = self.rope_parameters
        return newer.rope_theta if newer and newer.rope_theta else self.rope_theta

    def __post_init__(self) -> None:
        for rope in (self.rope_scaling, self.rope_parameters):
            if rope is not None and {rope.rope_type, rope.type} != {"default"}:
                kind = rope.rope_type if rope.rope_type != "default" else rope.type
                raise ValueError(f"rotary embedding {kind!r}: only 'default' is supported")


class VisionConfig(msgspec.Struct, frozen=True):
    """The vision encoder: a SigLIP."""

    hidden_size: Positive = 1152
    intermediate_size: Positive = 3072
    num_hidden_layers: Positive = 12
    num_attention_heads: Positive = 16
    num_channels: Literal[3] = 3
    image_size: Positive = 224
    patch_size: Positive = 32
    hidden_act: Literal["gelu_pytorch_tanh"] = "gelu_pytorch_tanh"
    layer_norm_eps: AboveZero = 1e-6

    @property
    def patches_a_side(self) -> int:
        """Patches along one side of a tile."""
        return self.image_size // self.patch_size


class SmolVlmConfig(msgspec.Struct, frozen=True):
    """config.json, as far as the architecture needs it."""

    model_type: Literal["idefics3", "smolvlm"]
    text_config: TextConfig
    vision_config: VisionConfig
    image_token_id: int = 128257
    scale_factor: Positive = 2
    eos_token_id: TokenIds = None

    @property
    def tile_tokens(self) -> int:
        """Image tokens that a tile becomes."""
        return (self.vision_config.patches_a_side // self.scale_factor) ** 2

    def __post_init__(self) -> None:
        if self.vision_config.patches_a_side % self.scale_factor:
            raise ValueError(
                f"scale_factor {self.scale_factor} does not divide the "
                f"{self.vision_config.patches_a_side} patches of a side"
            )


class Edge(msgspec.Struct, frozen=True):
    """A size by its longest edge, px."""

    longest_edge: Positive


class ImageConfig(msgspec.Struct, frozen=True):
    """How an image becomes tiles; see `runners.smolvlm.tiles`."""

    size: Edge = Edge(4 * 364)
    max_image_size: Edge = Edge(364)
    do_resize: bool = True
    do_image_splitting: bool = True
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: Colour = (0.5, 0.5, 0.5)
    image_std: Colour = (0.5, 0.5, 0.5)
    resample: Annotated[int, Meta(ge=0, le=5)] = 1  # Pillow's number of the Lanczos filter


class _Processor(msgspec.Struct, frozen=True):
    image_processor: ImageConfig | None = None


class _Generation(msgspec.Struct, frozen=True):
    eos_token_id: TokenIds = None


class _Template(msgspec.Struct, frozen=True):
    chat_template: str | None = None


def is_smolvlm(folder: Path) -> bool:
    """True where config.json is that of a SmolVLM."""
    try:
        raw = read_json(folder / "config.json", dict[str, Any])
    except SchemaProblem:
        return False
    return raw.get("model_type") in ("idefics3", "smolvlm")


def read_config(folder: Path) -> SmolVlmConfig:
    """The architecture; raises SchemaProblem where it is another."""
    return read_json(folder / "config.json", SmolVlmConfig)


def read_image_config(folder: Path) -> ImageConfig:
    """From preprocessor_config.json (older) or processor_config.json; raises Problem."""
    older, newer = folder / "preprocessor_config.json", folder / "processor_config.json"
    if older.is_file():
        return read_json(older, ImageConfig)
    if newer.is_file():
        found = read_json(newer, _Processor).image_processor
        if found is not None:
            return found
    raise Problem(f"{folder}: neither {older.name} nor {newer.name} says how images are prepared")


def end_tokens(folder: Path, config: SmolVlmConfig) -> frozenset[int]:
    """The tokens that end an answer; raises Problem where none is named."""
    file = folder / "generation_config.json"
    stated = read_json(file, _Generation).eos_token_id if file.is_file() else None
    for ids in (stated, config.text_config.eos_token_id, config.eos_token_id):
        if ids is not None:
            return frozenset((ids,) if isinstance(ids, int) else ids)
    raise Problem(f"{folder}: no eos_token_id in generation_config.json or config.json")


def chat_template(folder: Path) -> str:
    """The Jinja template of a conversation; raises Problem where there is none."""
    newest = folder / "chat_template.jinja"
    if newest.is_file():
        try:
            return newest.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Problem(f"{newest}: no text in UTF-8 ({error.reason})") from None
    for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        file = folder / name
        if file.is_file():
            raw = read_json(file, dict[str, Any])
            found = convert({"chat_template": raw.get("chat_template")}, _Template, str(file))
            if found.chat_template:
                return found.chat_template
    raise Problem(f"{folder}: no chat template: copy chat_template.json or .jinja from the model")
