"""Build a SmolVLM of random weights: `python -m benchmarks.programs.build_vlm FOLDER SIZE`.

SIZE is one of `SIZES`; weights are stored in bfloat16, as on the hub.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from edgelab.checkpoint import stored_tensors
from tests.runners.tiny_smolvlm import build_smolvlm

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


def main(folder: Path, size: str) -> None:
    """Write the checkpoint; print how many parameters it has."""
    text, vision = SIZES[size]
    build_smolvlm(
        folder, text=text, vision=vision, scale_factor=4, vocabulary=VOCABULARY,
        dtype=torch.bfloat16,
    )  # fmt: skip
    print(
        json.dumps({"parameters": sum(each.elements for each in stored_tensors(folder).values())})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
