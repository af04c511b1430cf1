"""The detect runner itself: `python -m benchmarks.programs.runner_pass RUN_FOLDER PRECISION`.

Its own main, with two things added: the process's CPU time is read when the measured window opens
and closes, and around each inference. Everything else is in its journals.
"""

from __future__ import annotations

import json
import sys
from time import process_time_ns
from typing import Any
from unittest.mock import patch

from edgelab.records import PassEnded, PassStarted, Record
from runners.detect import DetectPass
from runners.detector import Detector
from runners.passes import measure
from runners.step import RunningStep


def main(folder: str, precision: str) -> None:
    """Print the CPU time of the window and of each inference in it, ms."""
    window: list[int] = []
    calls: list[float] = []
    write, infer = RunningStep.event, Detector.infer

    def event(step: RunningStep, record: Record) -> None:
        if isinstance(record, PassStarted | PassEnded):
            window.append(process_time_ns())
        write(step, record)

    def timed_infer(detector: Detector, tensor: Any) -> Any:
        started = process_time_ns()
        outputs = infer(detector, tensor)
        if window:  # those before it are warm-up
            calls.append((process_time_ns() - started) / 1e6)
        return outputs

    sys.argv = ["runners.detect", folder, "--precision", precision]
    with patch.object(RunningStep, "event", event), patch.object(Detector, "infer", timed_infer):
        measure(DetectPass, "a detector")
    opened, closed = window
    print(json.dumps({"cpu_ms": (closed - opened) / 1e6, "infer_cpu_ms": calls}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
