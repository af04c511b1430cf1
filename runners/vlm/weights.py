"""A checkpoint's tensors by name, read from disk when they are asked for.

Safetensors are mapped into memory; an old `.bin` is read by PyTorch's restricted unpickler, which
runs no code, and mapped too.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from edgelab.problem import Problem


def read_tensors(folder: Path) -> dict[str, Any]:
    """All tensors of the checkpoint in `folder`; raises Problem naming the file that is broken."""
    tensors: dict[str, Any] = {}
    for file in weight_files(folder):
        try:
            tensors.update(_read(file))
        except UnpicklingError as error:
            raise Problem(f"{file}: refused, it is more than tensors ({_why(error)})") from None
        except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
            raise Problem(f"{file}: no weights can be read ({_why(error)})") from None
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The shards: all .safetensors, and only where there are none, all .bin of the model."""
    shards = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not shards:
        raise Problem(f"{folder}: no weights in it (looked for *.safetensors, pytorch_model*.bin)")
    return shards


def _read(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        return dict(load_file(file))
    held = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(held, dict):
        raise ValueError("expected tensors by name")
    return held


def _why(error: Exception) -> str:
    return " ".join(str(error).split("\n", 1)[0].split())[:200]
