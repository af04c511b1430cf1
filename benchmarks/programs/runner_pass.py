"""The detect runner itself: `python -m benchmarks.programs.runner_pass RUN_FOLDER PRECISION`.

Its own main, with one thing added: the process's CPU time is read when the measured window opens
and when it closes. Everything else is in its journals.
"""

from __future__ import annotations

import json
import sys
from time import process_time_ns
from unittest.mock import patch

from edgelab.records import PassEnded, PassStarted, Record
from runners import detect
from runners.step import RunningStep


def main(folder: str, precision: str) -> None:
    """Print the CPU time of the window, ms."""
    readings: list[int] = []
    write = RunningStep.event

    def event(step: RunningStep, record: Record) -> None:
        if isinstance(record, PassStarted | PassEnded):
            readings.append(process_time_ns())
        write(step, record)

    sys.argv = ["runners.detect", folder, "--precision", precision]
    with patch.object(RunningStep, "event", event):
        detect.main()
    opened, closed = readings
    print(json.dumps({"cpu_ms": (closed - opened) / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
