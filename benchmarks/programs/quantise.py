"""INT8 without a doctor: `python -m benchmarks.programs.quantise MODEL IMAGES TARGET ACTIVATIONS`.

For a model whose weights are random: it detects nothing that could be compared, and is refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx

from edgelab.settings.convert import Activations
from runners.quantise import to_integer

SIZE = (640, 640)


def main(model: Path, images: Path, target: Path, activations: Activations) -> None:
    """Calibrate on the images of a folder and write the outcome."""
    made = to_integer(
        onnx.load(model), SIZE, sorted(images.iterdir()), lambda _: None, activations=activations
    )
    onnx.save(made.model, target)
    print(json.dumps({"kept_float": made.kept_float}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), Activations(sys.argv[4]))
