"""Build a model of random weights: `python -m benchmarks.programs.build_vlm FOLDER MODEL`.

MODEL is a SmolVLM of `SIZES` or one of `FAMILIES`; weights are stored in bfloat16, as on the hub.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from edgelab.checkpoint import stored_tensors
from tests.runners.tiny_smolvlm import build_smolvlm
from tests.runners.tiny_vlms import build_mobilevlm, build_paligemma, build_qwen2_vl

_VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "image_size": 512, "patch_size": 16,
}  # fmt: skip
VOCABULARY = 49280

SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "50m": (
        {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 10,
         "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 64},
        _VISION | {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
                   "num_attention_heads": 6},
    ),
    "150m": (
        {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 16,
         "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64},
        _VISION | {"hidden_size": 576, "intermediate_size": 2304, "num_attention_heads": 9},
    ),
    "256m": (
        {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
         "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64},
        _VISION,
    ),
    "500m": (
        {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32,
         "num_attention_heads": 15, "num_key_value_heads": 5, "head_dim": 64},
        _VISION,
    ),
}  # fmt: skip
"""Language model and vision encoder; the last two are the dimensions of SmolVLM-256M and -500M."""


FAMILIES: dict[str, Callable[..., Path]] = {
    "qwen2-vl": partial(
        build_qwen2_vl,
        most_pixels=1280 * 28 * 28,
        text={
            "hidden_size": 768, "intermediate_size": 4480, "num_hidden_layers": 10,
            "num_attention_heads": 6, "num_key_value_heads": 2, "vocab_size": 60000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6,
                                "mrope_section": [16, 24, 24]},
        },
        vision={"depth": 8, "embed_dim": 640, "hidden_size": 768, "num_heads": 8},
    ),
    "mobilevlm": partial(
        build_mobilevlm,
        text={
            "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
            "num_attention_heads": 12, "num_key_value_heads": 4, "vocab_size": 32000,
            "max_position_embeddings": 2048,
        },
        vision={
            "hidden_size": 640, "intermediate_size": 2560, "num_hidden_layers": 10,
            "num_attention_heads": 10, "image_size": 336,
        },
    ),
    "paligemma": partial(
        build_paligemma,
        side=224,
        text={
            "hidden_size": 768, "intermediate_size": 4096, "num_hidden_layers": 8,
            "num_attention_heads": 6, "head_dim": 128, "vocab_size": 80000,
        },
        vision={
            "hidden_size": 576, "intermediate_size": 2152, "num_hidden_layers": 12,
            "num_attention_heads": 8,
        },
    ),
}  # fmt: skip
"""The other families between tiny and published, of 170 to 260 million parameters. PaliGemma's
vision encoder has an inner width that is no multiple of 64, as the published one."""


def main(folder: Path, model: str) -> None:
    """Write the checkpoint; print how many parameters it has."""
    if model in FAMILIES:
        FAMILIES[model](folder, dtype=torch.bfloat16)
    else:
        text, vision = SIZES[model]
        build_smolvlm(
            folder, text=text, vision=vision, scale_factor=4, vocabulary=VOCABULARY,
            dtype=torch.bfloat16,
        )  # fmt: skip
    print(
        json.dumps({"parameters": sum(each.elements for each in stored_tensors(folder).values())})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
