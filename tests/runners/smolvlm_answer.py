"""Ask a SmolVLM's ONNX files in a process of its own, and tell what that process had loaded.

`python -m tests.runners.smolvlm_answer FOLDER PRECISION IMAGE`: the tokens and the names of heavy
libraries, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from runners.images import read_image
from runners.smolvlm.model import SmolVlm

HEAVY = ("torch", "torchvision", "transformers", "safetensors", "onnx")


def main(folder: str, precision: str, image: str) -> None:
    model = SmolVlm(Path(folder), precision, 1)
    answer = model.answer(model.look(read_image(Path(image))), "How many?", 4)
    print(json.dumps({"tokens": answer.tokens, "heavy": [x for x in HEAVY if x in sys.modules]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
