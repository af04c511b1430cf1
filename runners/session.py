"""Opening models in ONNX Runtime: the one place that says how they are executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from edgelab.problem import Problem

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
    try:
        return onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        if type(error).__name__ in (
            "InvalidProtobuf",
            "InvalidGraph",
            "NoSuchFile",
            "NotImplemented",
        ):
            raise Problem(
                f"{model}: ONNX Runtime does not take it ({_first_line(error)})"
            ) from None
        raise


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
