"""What a checkpoint folder holds, by its headers alone: no weight is read.

A .safetensors file begins with the length of its header (8 bytes, little-endian), then the header:
JSON that maps each tensor's name to its dtype, shape and place behind the header
(https://github.com/huggingface/safetensors, "Format"). Large checkpoints are split into shards,
which `model.safetensors.index.json` lists. Where there is none of these, torch's own .bin files
tell as much (`edgelab.torch_file`).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgelab.problem import Problem
from edgelab.schema import read_json

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
BINARY = "pytorch_model*.bin"

BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16,
    "I16": 16, "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "I8": 8, "U8": 8, "BOOL": 8,
}  # fmt: skip
"""Bits an element takes, by the format's name of the dtype."""

_LONGEST_HEADER = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: `offset` and `size` in bytes of `file`.

    `offset` is None where its numbers do not follow each other, as in a transposed one of a .bin.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int | None
    size: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of the checkpoint by name; raises Problem where it is missing or damaged."""
    found: dict[str, StoredTensor] = {}
    for file in weight_files(folder):
        found |= read_header(file)
    return found


def weight_files(folder: Path) -> list[Path]:
    """The .safetensors file or its shards, else the .bin files; raises Problem without any."""
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if not (folder / INDEX).is_file():
        if binary := sorted(folder.glob(BINARY)):
            return binary
        raise Problem(f"{folder}: no checkpoint: neither {WHOLE} nor {INDEX} nor {BINARY} is there")
    names = sorted(set(read_json(folder / INDEX, _Index).weight_map.values()))
    for name in names:
        if Path(name).name != name:
            raise Problem(f"{folder / INDEX}: weight_map: {name!r} must be a file beside it")
        if not (folder / name).is_file():
            raise Problem(f"{folder / name}: missing, but {INDEX} lists it")
    return [folder / name for name in names]


def read_header(file: Path) -> dict[str, StoredTensor]:
    """The tensors of one file; raises Problem where its header is not one."""
    if file.suffix == ".bin":
        return _read_binary(file)
    try:
        with open(file, "rb") as stream:
            total = stream.seek(0, 2)
            stream.seek(0)
            length = _length(stream.read(8), total, file)
            header = stream.read(length)
    except OSError as error:
        raise Problem(f"{file}: cannot be read ({error.strerror})") from None
    try:
        raw = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        raw.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(each, type=_Entry) for name, each in raw.items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{file}: not a .safetensors file: its header is damaged ({error})") from None
    start = 8 + length
    return {name: _tensor(name, entry, file, start, total) for name, entry in entries.items()}


def _read_binary(file: Path) -> dict[str, StoredTensor]:
    from edgelab.torch_file import read_directory  # zip and pickle, for the few that need them

    return {
        name: StoredTensor(
            name, each.dtype, each.shape, file, each.offset,
            math.prod(each.shape) * BITS[each.dtype] // 8,
        )
        for name, each in read_directory(file, BITS).items()
    }  # fmt: skip


def _length(head: bytes, total: int, file: Path) -> int:
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else total + 1
    if length > min(total - 8, _LONGEST_HEADER):
        raise Problem(f"{file}: not a .safetensors file, or cut off: {total} bytes")
    return int(length)


def _tensor(name: str, entry: _Entry, file: Path, start: int, total: int) -> StoredTensor:
    if entry.dtype not in BITS:
        raise Problem(f"{file}: {name}: dtype {entry.dtype!r} is not known")
    begin, end = entry.data_offsets
    size = math.prod(entry.shape) * BITS[entry.dtype] // 8
    if end - begin != size or begin < 0:
        raise Problem(f"{file}: {name}: takes {end - begin} bytes, its shape says {size}")
    if start + end > total:
        raise Problem(f"{file}: cut off: {name} ends at byte {start + end}, the file at {total}")
    return StoredTensor(name, entry.dtype, entry.shape, file, start + begin, size)
