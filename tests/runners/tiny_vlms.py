"""Tiny checkpoints of real vision-language architectures, built and saved as the hub has them.

Seeded and untrained: each has the configuration, processor and tokenizer of its family, in the
current file layout, with hidden sizes of a few dozen; other sizes on request. Importing this module
needs transformers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    SiglipImageProcessor,
)

PALIGEMMA_SIZE = 28
"""px, a side; four image tokens."""

Sizes = dict[str, Any]
"""Keys of a part's configuration, in place of the tiny ones."""

_SPREAD = 0.2  # with transformers' 0.02, so few dimensions tell no token from another

QWEN2_VL_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(special: dict[str, str], others: tuple[str, ...] = ()) -> Any:
    """A byte-level BPE tokenizer without merges: a token a byte, then the special ones.

    `special`: by role (`bos_token`, ...); `others`: special tokens without a role.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({each: i for i, each in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.add_special_tokens({"additional_special_tokens": list(others)})
    return fast


def build_paligemma(
    folder: Path,
    *,
    generation: int = 1,
    side: int = PALIGEMMA_SIZE,
    text: Sizes | None = None,
    vision: Sizes | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """A PaliGemma (`generation` 1: on Gemma, 2: on Gemma 2) of two layers a part.

    An image is `side` px wide and high, a token is made of each 14.
    """
    tokenizer = byte_tokenizer(
        {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    )
    images = SiglipImageProcessor(
        size={"height": side, "width": side},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    images.image_seq_length = (side // 14) ** 2
    processor = PaliGemmaProcessor(images, tokenizer)
    language: Sizes = {
        "model_type": "gemma" if generation == 1 else "gemma2",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "vocab_size": len(tokenizer),  # after the processor, which adds 1,000 tokens and more
        "max_position_embeddings": 2048,
        "initializer_range": _SPREAD,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    } | (text or {})
    encoder: Sizes = {
        "model_type": "siglip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": side,
        "patch_size": 14,
        "projection_dim": language["hidden_size"],
        "vision_use_head": False,
    } | (vision or {})
    config = PaliGemmaConfig(
        text_config=language,
        vision_config=encoder,
        projection_dim=language["hidden_size"],
        image_token_index=processor.image_token_id,
        image_token_id=processor.image_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    return _save(PaliGemmaForConditionalGeneration(config).to(dtype), processor, folder)


def build_qwen2_vl(
    folder: Path,
    *,
    text: Sizes | None = None,
    vision: Sizes | None = None,
    most_pixels: int = 56 * 56,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """A Qwen2-VL of two layers a part; 28x28 px of an image make one token."""
    encoder = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4} | (vision or {})
    kinds = (Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor)
    return _build_qwen(folder, kinds, encoder, text or {}, most_pixels, dtype)


def build_qwen2_5_vl(folder: Path) -> Path:
    """A Qwen2.5-VL: as the Qwen2-VL, with windows in its vision tower."""
    encoder = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "out_hidden_size": 32,
        "fullatt_block_indexes": [1],
    }
    kinds = (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor)
    return _build_qwen(folder, kinds, encoder, {}, 56 * 56, torch.float32)


def _build_qwen(
    folder: Path,
    kinds: tuple[Any, Any, Any],
    vision: Sizes,
    text: Sizes,
    most_pixels: int,
    dtype: torch.dtype,
) -> Path:
    config_kind, model_kind, processor_kind = kinds
    tokenizer = byte_tokenizer(
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
    )
    number = tokenizer.convert_tokens_to_ids
    ends = {
        "eos_token_id": number("<|im_end|>"),
        "pad_token_id": number("<|endoftext|>"),
    }
    config = config_kind(
        text_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 2048,
            "initializer_range": _SPREAD,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],  # sums to half of head_dim
            },
            "bos_token_id": number("<|endoftext|>"),
            **ends,
            **text,
        },
        vision_config=vision,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
        **ends,
    )
    images = Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": most_pixels})
    processor = processor_kind(images, tokenizer, Qwen2VLVideoProcessor(), QWEN2_VL_CHAT)
    torch.manual_seed(0)
    return _save(model_kind(config).to(dtype), processor, folder)


def build_mobilevlm(
    folder: Path,
    *,
    older: bool = False,
    binary: bool = False,
    text: Sizes | None = None,
    vision: Sizes | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """A MobileVLM V2 with keys and config as published; `older`: `vision_model.` in the tower's.

    `binary`: weights as pytorch_model.bin instead of safetensors.
    """
    folder.mkdir(parents=True)
    tokenizer = byte_tokenizer(
        {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    )
    tokenizer.save_pretrained(folder)
    encoder: Sizes = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "image_size": 56, "patch_size": 14, "projection_dim": 32,
    }  # fmt: skip
    tower_config = CLIPVisionConfig(**(encoder | (vision or {})))
    tower_config.save_pretrained(folder / "clip")
    language: Sizes = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": len(tokenizer),
        "max_position_embeddings": 512, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    llama_config = LlamaConfig(**(language | (text or {})))
    seen, wide = tower_config.hidden_size, llama_config.hidden_size
    torch.manual_seed(0)
    tower = CLIPVisionModel(tower_config).state_dict()
    level = "vision_model." if older else ""
    tensors = {
        **LlamaForCausalLM(llama_config).state_dict(),
        **{f"model.vision_tower.vision_tower.{level}{name}": each for name, each in tower.items()},
        "model.mm_projector.mlp.mlp.0.weight": 0.2 * torch.randn(wide, seen),
        "model.mm_projector.mlp.mlp.0.bias": 0.2 * torch.randn(wide),
        "model.mm_projector.mlp.mlp.2.weight": 0.2 * torch.randn(wide, wide),
        "model.mm_projector.mlp.mlp.2.bias": 0.2 * torch.randn(wide),
        "model.mm_projector.peg.peg.0.weight": 0.2 * torch.randn(wide, 1, 3, 3),
        "model.mm_projector.peg.peg.0.bias": 0.2 * torch.randn(wide),
    }
    config = {
        **llama_config.to_dict(),
        "model_type": "mobilevlm",
        "architectures": ["MobileLlamaForCausalLM"],
        "mm_vision_tower": "clip",
        "mm_hidden_size": seen,
        "mm_vision_select_layer": -2,
        "mm_projector_type": "ldpnetv2",
        "image_aspect_ratio": "pad",
    }
    (folder / "config.json").write_text(json.dumps(config))
    if binary:
        torch.save({k: v.to(dtype) for k, v in tensors.items()}, folder / "pytorch_model.bin")
    else:
        save_file(
            {k: v.to(dtype, copy=True) for k, v in tensors.items()}, folder / "model.safetensors"
        )
    return folder


def to_older_layout(folder: Path) -> Path:
    """Rewrite a checkpoint's files as the hub's older repositories have them."""
    processor = json.loads((folder / "processor_config.json").read_text())
    images = processor.pop("image_processor")
    video = processor.pop("video_processor", None)
    images["processor_class"] = processor["processor_class"]
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    if video is not None:
        (folder / "video_preprocessor_config.json").write_text(json.dumps(video))
    (folder / "processor_config.json").unlink()
    if set(processor) - {"processor_class"}:
        (folder / "processor_config.json").write_text(json.dumps(processor))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    special = {k: v for k, v in tokenizer.items() if k.endswith("_token") and isinstance(v, str)}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    return folder


def _save(model: Any, processor: Any, folder: Path) -> Path:
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
