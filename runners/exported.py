"""Weights of torch as ONNX files, exported once and kept by what they were made from."""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgelab.durable import locked, replace_file
from edgelab.problem import Problem
from runners.exporting.offline import restrain_ultralytics
from runners.extras import needs

WEIGHTS = (".pt", ".pth", ".safetensors")
"""ultralytics' checkpoints, and torchvision's state dicts."""

METHOD_VERSION = 1
"""Raise it whenever an export changes."""

_LIBRARIES = ("torch", "torchvision", "ultralytics-opencv-headless", "onnxslim")


def export(
    weights: Path, image_size: int | None, folder: Path, on_export: Callable[[], None]
) -> Path:
    """The ONNX file of these weights, kept in `folder`; raises Problem where there is none to be
    had. torch is imported here, and only where the file is not there yet; `on_export` is told."""
    try:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise Problem(f"{weights}: cannot be read ({error.strerror})") from None
    key = "-".join([digest, str(image_size), str(METHOD_VERSION), *map(_version, _LIBRARIES)])
    target = folder / f"{weights.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.onnx"
    with locked(folder / ".export-lock"):
        if not target.exists():
            on_export()
            _export(weights, image_size, target)
    return target


def _export(weights: Path, image_size: int | None, target: Path) -> None:
    description = f"exported from {weights.name}"
    with tempfile.TemporaryDirectory(prefix="edgelab-export-") as work:
        made = Path(work) / "model.onnx"
        restrain_ultralytics(Path(work) / "config")
        elsewhere = "an .onnx made on another machine would do"
        with needs("train", f"exporting {weights.name} ({elsewhere})"):
            if weights.suffix.lower() == ".pt":
                yolo = importlib.import_module("runners.exporting.yolo")
                yolo.export(weights, made, image_size, description)
            else:
                ssdlite = importlib.import_module("runners.exporting.ssdlite")
                ssdlite.export_weights(weights, made, description)
        replace_file(target, made.read_bytes())


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
