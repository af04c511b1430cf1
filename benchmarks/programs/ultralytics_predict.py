"""The same images by ultralytics: `... ultralytics_predict MODEL IMAGES SIZE THREADS WARMUP IOU`.

IMAGES is a folder. `predict` is used as its documentation advises for many images: streamed, from a
list of paths. Threads are set by force, for the session and for torch; the letterbox is square, as
that of the runner.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any
from unittest.mock import patch

import onnxruntime
import torch
import ultralytics

from benchmarks.processes import resident_bytes
from runners.session import session_options

KEEP_SCORE = 0.05


def main(model: str, images: Path, size: int, threads: int, warmup: int, iou: float) -> None:
    """Print wall and CPU an image and the peak of memory."""
    torch.set_num_threads(threads)
    paths = [str(path) for path in sorted(images.iterdir())]
    open_session = onnxruntime.InferenceSession

    def session(path: Any, _options: Any = None, **others: Any) -> Any:
        return open_session(path, session_options(threads), **others)

    with patch.object(onnxruntime, "InferenceSession", session):
        yolo = ultralytics.YOLO(model, task="detect")
        settings = {
            "imgsz": size, "device": "cpu", "rect": False, "verbose": False, "save": False,
            "conf": KEEP_SCORE, "iou": iou, "max_det": 300, "stream": True,
        }  # fmt: skip
        found = [0, 0]
        for result in yolo.predict(paths[:warmup], **settings):
            found[0] += len(result.boxes)
        cpu, started = process_time_ns(), perf_counter_ns()
        for result in yolo.predict(paths, **settings):
            found[1] += len(result.boxes)
        ended, cpu = perf_counter_ns(), process_time_ns() - cpu
    answer = {
        "wall_ms": (ended - started) / 1e6 / len(paths),
        "cpu_ms": cpu / 1e6 / len(paths),
        "peak_memory": resident_bytes(line="VmHWM"),
        "found": found[1],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    model, images, size, threads, warmup, iou = sys.argv[1:]
    main(model, Path(images), int(size), int(threads), int(warmup), float(iou))
