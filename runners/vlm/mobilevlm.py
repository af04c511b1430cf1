"""MobileVLM V2 (Chu et al., https://arxiv.org/abs/2402.03766), which transformers does not have.

A CLIP vision tower and a Llama from transformers, and between them the paper's LDPNetV2 projector:
two linear layers, average pooling to 12 x 12 tokens, and a depthwise convolution that adds where
each token is. Checkpoints are read as published.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from edgelab.problem import Problem
from edgelab.schema import read_json
from runners.vlm.weights import read_tensors

MODEL_TYPES = ("mobilevlm", "mobilevlm_v2", "mobile_llama")
GRID = 12
"""The projector gives GRID x GRID image tokens whatever the image's size."""

_TOWER = "model.vision_tower.vision_tower."
_PROJECTOR = "model.mm_projector."
_BUFFERS = ("rotary_emb.inv_freq", "embeddings.position_ids")
_SHOWN = 6

# The tower that every published MobileVLM has, by the end of its name: its config.json is not
# part of their repositories.
_CLIP_L_336 = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "image_size": 336, "patch_size": 14, "projection_dim": 768,
}  # fmt: skip


class MobileVlmConfig(msgspec.Struct, frozen=True):
    """What is read of a published config.json beside the Llama's own keys."""

    model_type: str
    mm_vision_tower: str
    mm_hidden_size: int = 1024
    mm_vision_select_layer: int = -2
    mm_projector_type: str = "ldpnetv2"
    image_aspect_ratio: str = "pad"


class LdpNetV2(nn.Module):  # type: ignore[misc]
    """(batch, patches, `wide`) vision features -> (batch, GRID * GRID, `narrow`) image tokens."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.mlp = nn.ModuleDict(
            {"mlp": nn.Sequential(nn.Linear(wide, narrow), nn.GELU(), nn.Linear(narrow, narrow))}
        )
        self.peg = nn.ModuleDict(
            {"peg": nn.Sequential(nn.Conv2d(narrow, narrow, 3, 1, 1, groups=narrow))}
        )
        self.pool = nn.AdaptiveAvgPool2d((GRID, GRID))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Project, pool, add the position."""
        projected = self.mlp["mlp"](features)
        batch, patches, width = projected.shape
        side = isqrt(patches)
        pooled = self.pool(projected.transpose(1, 2).reshape(batch, width, side, side))
        placed = self.peg["peg"](pooled) + pooled
        return placed.flatten(2).transpose(1, 2)


class MobileVlm(nn.Module):  # type: ignore[misc]
    """Tower, projector and language model in one."""

    def __init__(
        self, llama: nn.Module, tower: nn.Module, projector: nn.Module, select_layer: int
    ) -> None:
        super().__init__()
        self.llama, self.tower, self.projector = llama, tower, projector
        self._select_layer = select_layer

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        device: torch.device = self.llama.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What the projector computes in; its convolution is never quantised."""
        dtype: torch.dtype = self.projector.peg["peg"][0].weight.dtype
        return dtype

    @property
    def generation_config(self) -> Any:
        """The language model's own."""
        return self.llama.generation_config

    def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, 3, side, side) pixels -> (batch, GRID * GRID, hidden) image tokens."""
        states = self.tower(pixel_values, output_hidden_states=True).hidden_states
        tokens: torch.Tensor = self.projector(states[self._select_layer][:, 1:])
        return tokens

    def embed(self, before: Any, after: Any, pixel_values: torch.Tensor) -> torch.Tensor:
        """The prompt's embeddings: text ids (1, n), the image's tokens, text ids (1, m)."""
        words = self.llama.get_input_embeddings()
        image = self.get_image_features(pixel_values)
        return torch.cat((words(before), image.to(words.weight.dtype), words(after)), dim=1)

    def forward(self, before: Any, after: Any, pixel_values: torch.Tensor, **options: Any) -> Any:
        """What the Llama answers to the whole prompt."""
        return self.llama(inputs_embeds=self.embed(before, after, pixel_values), **options)

    def generate(self, before: Any, after: Any, pixel_values: torch.Tensor, **options: Any) -> Any:
        """The ids of the new tokens alone, as transformers generates them."""
        embeds = self.embed(before, after, pixel_values)
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
        return self.llama.generate(inputs_embeds=embeds, attention_mask=mask, **options)


def read_config(folder: Path) -> MobileVlmConfig:
    """The keys that make it a MobileVLM; raises Problem where it is none of version 2."""
    config = read_json(folder / "config.json", MobileVlmConfig)
    if config.mm_projector_type != "ldpnetv2":
        raise Problem(
            f"{folder}/config.json: mm_projector_type = {config.mm_projector_type!r}: expected "
            "'ldpnetv2', the projector of MobileVLM V2"
        )
    return config


def load_mobilevlm(folder: Path, **options: Any) -> MobileVlm:
    """Assemble the checkpoint in `folder`.

    `options` (dtype, quantization_config, device_map) are those of transformers' from_pretrained.
    Raises Problem naming each key that is missing, unknown or of another shape.
    """
    config = read_config(folder)
    raw = read_json(folder / "config.json", dict)
    llama_config = LlamaConfig.from_dict({**raw, "model_type": "llama"})
    tower_config = vision_config(folder, config.mm_vision_tower)
    with torch.device("meta"):
        llama, tower = LlamaForCausalLM(llama_config), CLIPVisionModel(tower_config)
        projector = LdpNetV2(config.mm_hidden_size, llama_config.hidden_size)
    parts = _sorted_out(folder, read_tensors(folder), llama, tower, projector)
    dtype = options["dtype"]
    model: MobileVlm = MobileVlm(
        LlamaForCausalLM.from_pretrained(
            None, config=llama_config, state_dict=parts["llama"], **options
        ),
        CLIPVisionModel.from_pretrained(
            None, config=tower_config, state_dict=parts["tower"], **options
        ),
        _filled(projector, parts["projector"], dtype),
        config.mm_vision_select_layer,
    )
    model.eval()
    return model


def vision_config(folder: Path, name: str) -> CLIPVisionConfig:
    """The vision tower's configuration: beside the checkpoint, else the published one by name."""
    beside = folder / name
    if (beside / "config.json").is_file():
        return CLIPVisionConfig.from_pretrained(beside)
    if name.rstrip("/").endswith("clip-vit-large-patch14-336"):
        return CLIPVisionConfig(**_CLIP_L_336)
    raise Problem(
        f"{folder}/config.json: mm_vision_tower = {name!r}: neither a folder in it nor "
        "clip-vit-large-patch14-336"
    )


def _filled(module: nn.Module, tensors: dict[str, Any], dtype: torch.dtype) -> nn.Module:
    held = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    module.load_state_dict(held, assign=True)
    return module


def _sorted_out(
    folder: Path, tensors: dict[str, Any], llama: nn.Module, tower: nn.Module, projector: nn.Module
) -> dict[str, dict[str, Any]]:
    """The checkpoint's tensors by part, under the names that the parts have for them."""
    wanted = {
        **{("llama", name): tensor for name, tensor in llama.state_dict().items()},
        **{("tower", name): tensor for name, tensor in tower.state_dict().items()},
        **{("projector", name): tensor for name, tensor in projector.state_dict().items()},
    }
    found = {_place(name, wanted): (name, tensor) for name, tensor in tensors.items()}
    found = {place: each for place, each in found.items() if not each[0].endswith(_BUFFERS)}
    _check(folder, wanted, found)
    parts: dict[str, dict[str, Any]] = {"llama": {}, "tower": {}, "projector": {}}
    for (part, name), (_, tensor) in found.items():
        parts[part][name] = tensor
    return parts


def _place(name: str, wanted: dict[tuple[str, str], Any]) -> tuple[str, str]:
    """Which part a published key belongs to, and its name there.

    Older checkpoints have one more level, `vision_model.`, and so have older transformers.
    """
    if name.startswith(_PROJECTOR):
        return "projector", name.removeprefix(_PROJECTOR)
    if not name.startswith(_TOWER):
        return "llama", name
    bare = name.removeprefix(_TOWER).removeprefix("vision_model.")
    with_level = ("tower", f"vision_model.{bare}")
    return with_level if with_level in wanted else ("tower", bare)


def _check(
    folder: Path,
    wanted: dict[tuple[str, str], Any],
    found: dict[tuple[str, str], tuple[str, Any]],
) -> None:
    published = {"llama": "", "tower": _TOWER, "projector": _PROJECTOR}
    missing = [published[part] + name for part, name in wanted.keys() - found.keys()]
    unknown = [name for place, (name, _) in found.items() if place not in wanted]
    others = [
        f"{name} is {list(tensor.shape)}, expected {list(wanted[place].shape)}"
        for place, (name, tensor) in found.items()
        if place in wanted and tensor.shape != wanted[place].shape
    ]
    wrong = [("missing", missing), ("unknown", unknown), ("of another shape", others)]
    if any(names for _, names in wrong):
        told = "; ".join(f"{what}: {_listed(names)}" for what, names in wrong if names)
        raise Problem(f"{folder}: not the weights of this MobileVLM V2: {told}")


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more
