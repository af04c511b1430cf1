"""Checkpoints: everything that the next step depends on, in one folder that is whole or absent.

Weights are safetensors; the rest (optimiser, scheduler, random states, place in the data) is a
torch file of plain tensors and numbers, which is loaded with `weights_only`.
"""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from edgelab.durable import sync_folder
from edgelab.problem import Problem

CHECKPOINT_VERSION = 1

_WEIGHTS, _STATE = "model.safetensors", "state.pt"
_PREFIX = "step-"
_DAMAGE = (OSError, SafetensorError, RuntimeError, EOFError, ValueError, UnpicklingError)


class Checkpoints:
    """The newest checkpoint of a training. A damaged one is passed over for the one before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write one and remove the older ones; raises OSError, and then leaves these alone."""
        target = self.folder / f"{_PREFIX}{step:09d}"
        part = self.folder / ".part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            tensors = {name: each.detach().cpu().contiguous() for name, each in weights.items()}
            _write(part / _WEIGHTS, safetensors.torch.save(tensors))
            buffer = io.BytesIO()
            torch.save({"version": CHECKPOINT_VERSION, "step": step, **state}, buffer)
            _write(part / _STATE, buffer.getvalue())
            sync_folder(part)
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(self.folder)
        for older in self._all():
            if older != target:
                shutil.rmtree(older, ignore_errors=True)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Weights and state of the newest that can be read; None where there is none.

        Raises Problem where there are some, but none can be read: training would begin anew.
        """
        problem = ""
        for folder in reversed(self._all()):
            try:
                weights = safetensors.torch.load_file(folder / _WEIGHTS)
                state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
            except _DAMAGE as error:
                problem = problem or f"{folder}: cannot be read ({' '.join(str(error).split())})"
                continue
            version = state.get("version") if isinstance(state, dict) else None
            if version != CHECKPOINT_VERSION:
                raise Problem(
                    f"{folder / _STATE}: version = {version}: this edgelab reads "
                    f"{CHECKPOINT_VERSION}"
                )
            return weights, state
        if problem:
            raise Problem(f"{problem}: remove it to begin anew")
        return None

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_PREFIX}*"))


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)  # it is what a person must make room for
        raise


def random_states(device: torch.device) -> dict[str, Any]:
    """The states of torch's own generators; all other chance is seeded by its place."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Put them back."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
