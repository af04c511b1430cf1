"""A YOLOv8n of full width on shapes: trained, converted, and its INT8 counts held against FP32's.

    python -m benchmarks.full_width OUTPUT [--model FILE]

OUTPUT receives what the training leaves (`full_width.toml` says how it is done) and a lab with the
converted model and the run. `--model` takes one that was trained before, .onnx or .pt. The exit
code is 1 where the counts at a threshold are more than `BOUND` apart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgelab.launch import child_environment
from runners import train_detector
from runners.datasets import shapes

HERE = Path(__file__).parent
SPEC = HERE / "full_width.toml"
SHAPES = HERE.parent / "profiles" / "datasets" / "shapes.toml"
NAME = "yolov8n-full-width"
BOUND = 0.02


def main() -> int:
    """Do it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_width", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, help="instead of training one")
    options = parser.parse_args()
    output = options.output.absolute()
    model = options.model or trained(output)
    edgelab(output, "convert", str(model), "--dataset", "shapes", "--precision", "int8",
            "--name", NAME)  # fmt: skip
    ran = edgelab(output, "run", "detect", "--model", NAME, "--dataset", "shapes",
                  "--precision", "fp32", "--precision", "int8")  # fmt: skip
    return told(ran["rows"])


def trained(output: Path) -> Path:
    """Draw shapes, train, and return the exported model."""
    profile = shapes.read_profile(SHAPES)
    for split in shapes.SPLITS:
        folder = shapes.ensure_split(profile, split, output / "data").parent
    asked = [str(SPEC), "--dataset-folder", str(folder), "--output", str(output / "trained")]
    if code := train_detector.main(asked):
        raise SystemExit(code)
    return output / "trained" / "model.onnx"


def edgelab(output: Path, *arguments: str) -> Any:
    """What a command of a lab in OUTPUT says."""
    ended = subprocess.run(
        [sys.executable, "-m", "edgelab", *arguments, "--json"],
        env=child_environment(EDGELAB_HOME=str(output / "lab")),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    said = json.loads(ended.stdout or "{}")
    if ended.returncode:
        raise SystemExit(f"edgelab {arguments[0]}: {said.get('reason', 'see above')}")
    return said


def told(rows: list[dict[str, Any]]) -> int:
    """Print both counts at each threshold and how far they are apart; 1 where that is too far."""
    counts = {(row["precision"], row["threshold"]): row for row in rows}
    far = False
    for threshold in sorted({row["threshold"] for row in rows}):
        full, integer = (counts[precision, threshold] for precision in ("fp32", "int8"))
        apart = integer["pred_count"] / full["pred_count"] - 1
        far = far or abs(apart) > BOUND
        print(
            f"at {threshold:g}: fp32 counts {full['pred_count']} (MAE {full['mae_mean']:.4f}), "
            f"int8 {integer['pred_count']} (MAE {integer['mae_mean']:.4f}), {apart:+.1%}; "
            f"{full['gt_count']} are there"
        )
    return int(far)


if __name__ == "__main__":
    sys.exit(main())
