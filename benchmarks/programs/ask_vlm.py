"""Ask a model one question: `python -m benchmarks.programs.ask_vlm FOLDER PRECISION [VIEW]`.

VIEW is "tiles", or the most pixels that the model may see of the image of 640 x 480.

The engines are those of `edgelab run ask`. Prints memory at each stage and speed, beside what was
forecast.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.vlm_image import View
from edgelab.vlm_memory import engine_of, onnx_files, onnx_memory, torch_memory
from edgelab.vlm_time import bytes_a_token
from edgelab.vlm_weights import read_weights
from runners.memory import peak_memory_bytes, resident_bytes

THREADS, TOKENS = 1, 8
QUESTION = "How many dogs are in the image? Answer with a number only."


def main(folder: Path, precision: Precision, view: View) -> None:
    """Print it as one line of JSON."""
    settings = AskSettings(
        model=str(folder), dataset="-", precisions=(precision,), threads=THREADS,
        max_new_tokens=TOKENS, tiling=view.tiling, max_pixels=view.max_pixels,
    )  # fmt: skip
    name = engine_of(folder)
    forecast_of = onnx_memory if name == "onnx" else torch_memory
    forecast = forecast_of(folder, precision, view, TOKENS)
    started = time.perf_counter()
    kind = _engine(name)
    import_s = time.perf_counter() - started
    libraries = resident_bytes()
    started = time.perf_counter()
    engine = kind(folder, precision, settings)
    load_s = time.perf_counter() - started
    load_peak, loaded = peak_memory_bytes(), resident_bytes()
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    picture = engine.picture(pixels)
    asked = [engine.ask(i, picture, QUESTION, share=False, on_text=None) for i in range(2)][-1]
    decoded = len(asked.ids) - 1
    print(
        json.dumps(
            {
                "forecast": forecast.peak, "parts": forecast.parts, "libraries": libraries,
                "load_peak": load_peak, "loaded": loaded, "peak": peak_memory_bytes(),
                "import_s": import_s, "load_s": load_s, "vision_ms": asked.stages.vision,
                "prefill_ms": asked.stages.prefill, "decode_ms": asked.stages.decode,
                "decoded": decoded, "image_tokens": asked.image_tokens,
                "read_bytes": _read_bytes(folder, precision, name),
            }
        )
    )  # fmt: skip


def _read_bytes(folder: Path, precision: Precision, name: str) -> int:
    """What a decoded token reads: without torch, the decoder's files."""
    if name == "torch":
        return bytes_a_token(read_weights(folder), precision)
    files = onnx_files(folder, precision)
    return sum(file.stat().st_size for file in files if file.name.startswith("decoder"))


def _engine(name: str) -> Any:
    if name == "onnx":
        from runners.asking.onnx_engine import OnnxEngine

        return OnnxEngine
    from runners.asking.torch_engine import TorchEngine

    return TorchEngine


def _view(words: str) -> View:
    return View(max_pixels=int(words) if words.isdecimal() else None, tiling=words == "tiles")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Precision(sys.argv[2]), _view("".join(sys.argv[3:])))
