"""Make SmolVLM's ONNX files: `python -m benchmarks.programs.export_vlm FROM TO PRECISION`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from runners.memory import peak_memory_bytes
from runners.smolvlm.export import export


def main(checkpoint: Path, target: Path, precision: str) -> None:
    """Print what it took."""
    started = time.perf_counter()
    export(checkpoint, target, precision)
    took = time.perf_counter() - started
    print(json.dumps({"seconds": took, "peak": peak_memory_bytes()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
