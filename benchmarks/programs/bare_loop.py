"""Nothing but `session.run`: `... bare_loop MODEL TENSORS THREADS WARMUP`.

TENSORS is a folder of .npy files, run in the order of their names. Each is read into one buffer
outside the clock, so that it is as near to the processor as a freshly preprocessed one. The session
is opened as the runners open theirs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter_ns, process_time_ns

import numpy as np

from benchmarks.processes import resident_bytes
from runners.session import open_session, session_options


def main(model: Path, tensors: Path, threads: int, warmup: int) -> None:
    """Print wall and CPU a call, ms, and the memory of the model itself."""
    files = sorted(tensors.glob("*.npy"))
    buffer = np.load(files[0])
    before = resident_bytes()
    session = open_session(model, session_options(threads))
    inputs = {session.get_inputs()[0].name: buffer}
    infer_ms: list[float] = []
    infer_cpu_ms: list[float] = []
    for number, file in enumerate([*files[:warmup], *files]):
        np.copyto(buffer, np.load(file))
        cpu, started = process_time_ns(), perf_counter_ns()
        session.run(None, inputs)
        ended, cpu = perf_counter_ns(), process_time_ns() - cpu
        if number >= warmup:
            infer_ms.append((ended - started) / 1e6)
            infer_cpu_ms.append(cpu / 1e6)
    answer = {
        "infer_cpu_ms": infer_cpu_ms,
        "cpu_ms": sum(infer_cpu_ms) / len(files),
        "wall_ms": sum(infer_ms) / len(files),
        "peak_memory": resident_bytes(line="VmHWM"),
        "model_memory": resident_bytes(line="VmHWM") - before,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
