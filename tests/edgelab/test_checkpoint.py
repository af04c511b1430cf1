"""Headers of .safetensors files, whole, sharded and damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from edgelab.checkpoint import INDEX, WHOLE, stored_tensors
from edgelab.problem import Problem


def write(file: Path, header: dict[str, Any] | bytes, data: int) -> None:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(data))


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_whole(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": entry("BF16", [2, 3], 0, 12)}
    write(tmp_path / WHOLE, header, 12)
    tensor = stored_tensors(tmp_path)["a"]
    assert (tensor.elements, tensor.size, tensor.dtype) == (6, 12, "BF16")
    assert tensor.offset == (tmp_path / WHOLE).stat().st_size - 12


def test_shards(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.safetensors", {name: entry("F32", [1], 0, 4)}, 4)
    places = {name: f"{name}.safetensors" for name in "ab"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": places}))
    assert set(stored_tensors(tmp_path)) == {"a", "b"}


@pytest.mark.parametrize(("header", "data", "words"), [
    ({"a": entry("F32", [2], 0, 8)}, 4, "cut off: a ends"),
    ({"a": entry("F32", [2], 0, 4)}, 8, "its shape says 8"),
    ({"a": entry("Q9", [2], 0, 8)}, 8, "dtype 'Q9'"),
    (b"not json", 8, "damaged"),
    (b"[]", 8, "damaged"),
])  # fmt: skip
def test_damage(tmp_path: Path, header: Any, data: int, words: str) -> None:
    write(tmp_path / WHOLE, header, data)
    with pytest.raises(Problem, match=words):
        stored_tensors(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 2**63) + b"{}"])
def test_not_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / WHOLE).write_bytes(content)
    with pytest.raises(Problem, match=r"not a \.safetensors file"):
        stored_tensors(tmp_path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no checkpoint"):
        stored_tensors(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    with pytest.raises(Problem, match="must be a file beside it"):
        stored_tensors(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "a.safetensors"}}))
    with pytest.raises(Problem, match="missing, but"):
        stored_tensors(tmp_path)
