"""Tiny SmolVLM checkpoints of the real architecture; other sizes on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from tests.runners.tiny_vlms import byte_tokenizer

SMOLVLM_CHAT = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""The template that the SmolVLM models have on the hub."""

SMOLVLM_TEXT = {
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
SMOLVLM_VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": 64, "patch_size": 8,
}  # fmt: skip


def build_smolvlm(
    folder: Path,
    *,
    family: str = "idefics3",
    text: dict[str, Any] = SMOLVLM_TEXT,
    vision: dict[str, Any] = SMOLVLM_VISION,
    scale_factor: int = 2,
    vocabulary: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """A SmolVLM (`family` "idefics3") or SmolVLM2 ("smolvlm"); a tile is 64 px and 16 tokens."""
    places = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
    tokenizer = byte_tokenizer(
        {
            "bos_token": "<|im_start|>", "eos_token": "<end_of_utterance>",
            "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>",
        },
        ("<fake_token_around_image>", "<image>", "<global-img>", *places),
    )  # fmt: skip
    ends = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in
            ("bos", "eos", "pad")}  # fmt: skip
    architecture = {
        "model_type": "llama", "vocab_size": vocabulary or len(tokenizer), "rms_norm_eps": 1e-5,
        "max_position_embeddings": 8192, "rope_theta": 100000.0, "tie_word_embeddings": True,
    }  # fmt: skip
    config_class, model_class = _smolvlm_classes(family)
    config = config_class(
        text_config=architecture | ends | text,
        vision_config=vision,
        scale_factor=scale_factor,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=True,
        **ends,
    )
    processor = _smolvlm_processor(family, tokenizer, vision, scale_factor)
    torch.manual_seed(0)
    model = model_class(config).to(dtype)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def says_digits(folder: Path) -> Path:
    """Give a checkpoint a head whose likeliest token is always a 3 or a 4, by what it sees."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    head = torch.zeros_like(tensors["model.text_model.embed_tokens.weight"])
    head[words.token_to_id("3")] = torch.linspace(-1, 1, head.shape[1])
    head[words.token_to_id("4")] = -head[words.token_to_id("3")]
    save_file({**tensors, "lm_head.weight": head}, file, {"format": "pt"})
    return folder


def _smolvlm_classes(family: str) -> tuple[Any, Any]:
    name = {"idefics3": "Idefics3", "smolvlm": "SmolVLM"}[family]
    return (
        getattr(transformers, f"{name}Config"),
        getattr(transformers, f"{name}ForConditionalGeneration"),
    )


def _smolvlm_processor(
    family: str, tokenizer: Any, vision: dict[str, Any], scale_factor: int
) -> Any:
    side = vision["image_size"]
    images = {
        "size": {"longest_edge": 4 * side}, "max_image_size": {"longest_edge": side},
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    tokens = (side // vision["patch_size"] // scale_factor) ** 2
    text = {"image_seq_len": tokens, "chat_template": SMOLVLM_CHAT}
    if family == "idefics3":
        images_of = transformers.Idefics3ImageProcessor(**images)
        return transformers.Idefics3Processor(images_of, tokenizer, **text)
    return transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(**images),
        tokenizer,
        transformers.SmolVLMVideoProcessor(),
        **text,
    )
