"""Checkpoints of a training: one file, replaced whole, read without running any code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from edgelab.durable import replace_file
from edgelab.problem import Problem

VERSION = 1


def write_checkpoint(path: Path, state: dict[str, Any], belongs_to: str) -> None:
    """Replace the checkpoint at `path`, durable when it returns.

    `belongs_to` names what the state goes on from (model, data, settings). Raises OSError where the
    disk is full; the former checkpoint is then untouched.
    """
    buffer = io.BytesIO()
    torch.save({"version": VERSION, "belongs_to": belongs_to, "state": state}, buffer)
    replace_file(path, buffer.getvalue())


def read_checkpoint(path: Path, belongs_to: str) -> dict[str, Any] | None:
    """The state kept at `path`, on the CPU; None where there is none.

    Raises Problem where the file is damaged, holds anything but tensors and plain values (a pickle
    could run code), or belongs to another training.
    """
    if not path.exists():
        return None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        version, owner, state = held["version"], held["belongs_to"], held["state"]
    except Exception as error:  # a damaged zip or pickle raises nearly anything
        reason = " ".join(str(error).split())[:200]
        raise Problem(
            f"{path}: not a whole checkpoint ({reason}): delete it to begin anew"
        ) from None
    if version != VERSION:
        raise Problem(f"{path}: checkpoint version {version}, this edgelab reads {VERSION}")
    if owner != belongs_to:
        raise Problem(f"{path}: of another training (model, data or settings differ)")
    return dict(state)
