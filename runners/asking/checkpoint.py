"""Which model is asked: its folder, the engine that runs it, and how it is known again.

Nothing but headers is read of the weights, and a few of their blocks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgelab.catalogue import Catalogue
from edgelab.problem import Problem
from edgelab.settings.common import Precision
from runners.extras import needs
from runners.smolvlm.layout import find_layout, precisions_of

EngineName = Literal["torch", "onnx"]

TORCH_PRECISIONS = (
    Precision.FP32, Precision.FP16, Precision.BF16, Precision.INT8, Precision.INT8_DYNAMIC,
    Precision.NF4,
)  # fmt: skip

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_BLOCK, _BLOCKS = 4096, 256
_WANTED = ("*.json", "*.jinja", "*.model", "*.txt", "*.safetensors")


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
        return f"{self.folder}/onnx: no {precision} in it, there are {', '.join(there)}"

    def files(self, precision: Precision) -> tuple[Path, ...]:
        """The files that hold the weights of a precision; raises Problem where there are none."""
        if self.engine == "onnx":
            return find_layout(self.folder, precision.value).files
        for pattern in _WEIGHTS:
            if files := sorted(self.folder.glob(pattern)):
                return tuple(files)
        raise Problem(f"{self.folder}: no weights in it (looked for {', '.join(_WEIGHTS)})")


def find_checkpoint(model: str, revision: str | None, catalogue: Catalogue) -> Checkpoint:
    """The model by its catalogue name, its folder, or its hub id; raises Problem."""
    entry = catalogue.hub_model(model)
    if entry is not None:
        profile = entry.require()
        revision = revision or profile.revision
        return Checkpoint(entry.name, fetched(profile.repository, revision))
    path = Path(model).expanduser()
    if path.is_dir():
        return Checkpoint(path.name, path)
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        return Checkpoint(model, fetched(model, revision))
    raise Problem(f"{model}: neither a model of the catalogue, nor a folder, nor a hub id")


def fetched(repository: str, revision: str | None) -> Path:
    """The folder of a hub's repository: from the hub's cache, else downloaded. Raises Problem."""
    with needs("vlm", f"the model {repository} of the hub"):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(_WANTED)))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise Problem(
            f"{repository}: not in the hub's cache, and the hub could not be reached or does not "
            f"know it ({' '.join(str(error).split())[:300]})"
        ) from None


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
