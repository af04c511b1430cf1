"""Which model is asked: its folder, the engine that runs it, and how it is known again.

Nothing but headers is read of the weights, and a few of their blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgelab.catalogue import Catalogue, checkpoint_of
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.common import Precision
from runners.hub import OnBytes, find_model
from runners.smolvlm.layout import find_layout, precisions_of

EngineName = Literal["torch", "onnx"]

TORCH_PRECISIONS = (
    Precision.FP32, Precision.FP16, Precision.BF16, Precision.INT8, Precision.INT8_DYNAMIC,
    Precision.NF4,
)  # fmt: skip

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_BLOCK, _BLOCKS = 4096, 256


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk. `name`: as the run calls it."""

    name: str
    folder: Path

    @property
    def engine(self) -> EngineName:
        """ONNX Runtime where its three files lie in the folder, else PyTorch."""
        return "onnx" if precisions_of(self.folder) else "torch"

    def why_not(self, precision: Precision) -> str | None:
        """Why this precision cannot be asked for, in one sentence; None where it can."""
        if self.engine == "torch":
            if precision in TORCH_PRECISIONS:
                return None
            return f"{self.folder}: {precision} needs the model's ONNX files (docs/vlm-onnx.md)"
        there = precisions_of(self.folder)
        if precision.value in there:
            return None
        text = f"{self.folder}/onnx: no {precision} in it, there are {', '.join(there)}"
        if precision in TORCH_PRECISIONS and any(self.folder.glob(_WEIGHTS[0])):
            text += "; its .safetensors are asked where no onnx folder lies beside them"
        return text

    def files(self, precision: Precision) -> tuple[Path, ...]:
        """The files that hold the weights of a precision; raises Problem where there are none."""
        if self.engine == "onnx":
            return find_layout(self.folder, precision.value).files
        for pattern in _WEIGHTS:
            if files := sorted(each for each in self.folder.glob(pattern) if each.is_file()):
                return tuple(files)
        raise Problem(f"{self.folder}: no weights in it (looked for {', '.join(_WEIGHTS)})")


def find_checkpoint(
    model: str,
    revision: str | None,
    home: Home,
    tell: OnBytes | None = None,
    precisions: Sequence[Precision] = (),
) -> Checkpoint:
    """The model by its catalogue name, its folder, or its hub id; raises Problem.

    What is not on the board is downloaded, `tell` hears how far it has come. `precisions`: those
    that will be asked for, where each has files of its own.
    """
    name, source, onnx = model, model, False
    entry = Catalogue(home).hub_model(model)
    if entry is not None:
        profile = entry.require()
        name, source, revision = entry.name, checkpoint_of(entry), revision or profile.revision
        onnx = profile.onnx
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise Problem(f"{path}: no config.json in it: no model of transformers")
        return Checkpoint(name if entry is not None else path.name, path)
    if source.count("/") == 1 and not source.startswith((".", "/", "~")):
        return Checkpoint(name, find_model(source, revision, home, tell, precisions, onnx=onnx))
    raise Problem(f"{model}: neither a model of the catalogue, nor a folder, nor a hub id")


def fingerprint(files: tuple[Path, ...], config: Path) -> str:
    """SHA-256 over the configuration, and of each file its name, size and evenly spread blocks.

    Hashing all of 9 GB would take longer than many a run; blocks tell two trainings of one
    architecture apart, for hardly a weight stays the same.
    """
    digest = hashlib.sha256(config.read_bytes())
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            for number in range(_BLOCKS):
                stream.seek(number * size // _BLOCKS)
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()
