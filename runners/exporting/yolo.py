"""ultralytics' checkpoints (.pt) of YOLOv8 and YOLO11 exported as they are run: the raw head."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import onnx
import onnxslim  # noqa: F401  ultralytics would install it in the middle of an export
import torch
import ultralytics
import ultralytics.utils

from edgelab.problem import Problem

OPSET = 17
KEPT_METADATA = {
    "author",
    "license",
    "version",
    "task",
    "head",
    "stride",
    "batch",
    "imgsz",
    "names",
}


def export(weights: Path, target: Path, image_size: int | None, description: str) -> None:
    """Export to ONNX: (1, 3, side, side) in, raw (1, 4 + classes, anchors) out.

    `image_size`: px a side, None means what the model was trained at. Of ultralytics' metadata only
    what a reader of the model needs is kept: the rest names folders of this machine, or changes the
    file's hash at every export. Raises Problem where the checkpoint cannot be loaded safely.
    """
    with tempfile.TemporaryDirectory(prefix="edgelab-export-") as work:
        # ultralytics writes beside the checkpoint.
        copy = Path(shutil.copyfile(weights, Path(work) / "model.pt"))
        model = _load(copy, weights)
        size = {} if image_size is None else {"imgsz": image_size}
        exported = model.export(
            format="onnx",
            batch=1,
            dynamic=False,
            opset=OPSET,
            simplify=True,
            nms=False,
            device="cpu",
            **size,
        )
        graph = onnx.load(exported)
    properties = {p.key: p.value for p in graph.metadata_props if p.key in KEPT_METADATA}
    properties["description"] = description
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, properties)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, target)


def _load(copy: Path, weights: Path) -> Any:
    if not _loads_safely():
        raise Problem(
            f"{weights}: this ultralytics {ultralytics.__version__} with torch {torch.__version__} "
            "cannot load it without executing what is in it: upgrade both"
        )
    try:
        model = ultralytics.YOLO(copy)
    except (TypeError, AttributeError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).encode("ascii", "ignore").decode().split())
        raise Problem(
            f"{weights}: no checkpoint of ultralytics that can be loaded safely "
            f"({reason.replace(str(copy), weights.name)[:200]})"
        ) from None
    if model.task != "detect":
        raise Problem(f"{weights}: a model for the task {model.task!r}, expected a detector")
    return model


def _loads_safely() -> bool:
    """False where ultralytics would fall back to unpickling whatever the file names."""
    restrained = getattr(ultralytics.utils, "SAFE_LOAD", False)
    return restrained and hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint")
