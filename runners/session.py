"""Opening models in ONNX Runtime: the one place that says how they are executed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime

from edgelab.problem import Problem
from runners.memory import is_out_of_memory

RUNTIME = f"onnxruntime {onnxruntime.__version__} CPU"

_ERRORS_ONLY = 3


def session_options(threads: int) -> Any:
    """How every model is run: `threads` inside an operator, operators one after another."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    return options


def open_session(model: Path, options: Any) -> Any:
    """Load `model` for the CPU; raises Problem where ONNX Runtime does not take the file."""
    with refusals_as_problems(model):
        return onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )


@contextmanager
def refusals_as_problems(model: Path) -> Iterator[None]:
    """Turn what ONNX Runtime has against a model into one sentence.

    Its errors have no class in common but the module they come from. A lack of memory is none of
    the model's doing and stays what it is.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error) or not type(error).__module__.startswith("onnxruntime"):
            raise
        reason = str(error).strip().splitlines()[0]
        raise Problem(f"{model}: ONNX Runtime cannot run it ({reason})") from None
