"""Train a classifier: `python -m runners.train RUN_FOLDER`.

Started again on the same folder it goes on from the newest checkpoint in artifacts/checkpoints. It
leaves artifacts/best (safetensors and classifier.json), artifacts/model.onnx, and a profile, so
that the model is known by name.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2

from edgelab.home import Home
from edgelab.steps import TRAIN_STEP
from runners.extras import needs
from runners.step import RANK, open_step


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train a classifier.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    silent = os.environ.get(RANK, "0") != "0"  # the first of several processes writes
    with open_step(arguments.folder, TRAIN_STEP, silent) as step:
        with needs("train", "training"):
            from runners.learning.run import train
        train(step, Home.default())


if __name__ == "__main__":
    main()
