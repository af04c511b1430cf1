"""Reading a checkpoint's weights one by one, memory-mapped, whatever dtype they are stored in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgelab.checkpoint import StoredTensor, stored_tensors
from edgelab.problem import Problem

Array = NDArray[np.generic]

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


class Weights:
    """The tensors of a checkpoint folder; raises Problem where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stored = stored_tensors(folder)
        self._left = set(self._stored)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def read(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """That tensor in `dtype`; raises Problem where it is missing or shaped otherwise."""
        stored = self._stored.get(name)
        if stored is None:
            raise Problem(f"{self.folder}: the checkpoint has no {name}")
        if stored.shape != shape:
            raise Problem(
                f"{stored.file}: {name} is {_by(stored.shape)}, config.json says {_by(shape)}"
            )
        self._left.discard(name)
        return _mapped(stored).astype(dtype)

    def unread(self) -> list[str]:
        """Names that nobody asked for: not part of the architecture that was read."""
        return sorted(self._left)


def _mapped(stored: StoredTensor) -> Array:
    if stored.dtype not in _DTYPES:
        raise Problem(
            f"{stored.file}: {stored.name} is {stored.dtype}: convert the unquantised checkpoint "
            f"({', '.join(_DTYPES)})"
        )
    if stored.offset is None:
        raise Problem(f"{stored.file}: {stored.name} does not lie in a row: save it contiguous")
    mapped: Array = np.memmap(
        stored.file, _DTYPES[stored.dtype], "r", stored.offset, stored.shape or (1,)
    )
    if stored.dtype == "BF16":  # the upper half of a float32
        mapped = (mapped.astype(np.uint32) << 16).view(np.float32)
    return mapped.reshape(stored.shape)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
