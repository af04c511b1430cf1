"""What a torch checkpoint (.bin) holds, by its zip directory and its pickle: no weight is read.

torch.save writes a zip file of stored entries (docs.pytorch.org/docs/stable/notes/serialization):
`*/data.pkl`, a pickled dict of tensors that name their storages, and `*/data/KEY`, the bytes of
each. The pickle is read by an unpickler that knows the few names that a dict of tensors needs, as
stand-ins of this module: it can import nothing, so that it can run nothing.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edgelab.problem import Problem

_DTYPES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
"""As .safetensors files call them."""

_LONGEST_PICKLE = 100_000_000
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # its signature, lengths of the name and the extra field


@dataclass(frozen=True)
class TorchTensor:
    """A tensor: its place in the file, `offset`, is None where its numbers are not in a row."""

    dtype: str
    shape: tuple[int, ...]
    offset: int | None


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Slice(NamedTuple):
    """A tensor as the pickle has it: `start`, in numbers, of a storage."""

    storage: _Storage
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def in_a_row(self) -> bool:
        """True where its numbers follow each other."""
        step = 1
        for length, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if length != 1 and stride != step:
                return False
            step *= length
        return True


def read_directory(file: Path, bits: Mapping[str, int]) -> dict[str, TorchTensor]:
    """The tensors of a file by name; `bits`: of a number in each dtype.

    Raises Problem where it is damaged, older than torch 1.6, or more than tensors.
    """
    try:
        with zipfile.ZipFile(file) as archive, open(file, "rb") as raw:
            pickled = next(e for e in archive.infolist() if e.filename.endswith("/data.pkl"))
            root = pickled.filename.removesuffix("data.pkl")
            if pickled.file_size > _LONGEST_PICKLE:
                raise Problem(f"{file}: its list of tensors is {pickled.file_size} bytes")
            held = _Unpickler(io.BytesIO(archive.read(pickled)), file).load()
            entries = {each.filename: each for each in archive.infolist()}
            return {
                name: _placed(each, bits, entries, root, raw, file)
                for name, each in _tensors(held, file).items()
            }
    except OSError as error:
        raise Problem(f"{file}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, StopIteration):
        raise Problem(
            f"{file}: no checkpoint that tells what it holds: it is damaged, or older than torch "
            "1.6; save it as .safetensors"
        ) from None


def _tensors(held: object, file: Path) -> dict[str, _Slice]:
    """By name; other things (a version, metadata) are left out."""
    if not isinstance(held, dict):
        raise Problem(f"{file}: holds no tensors by name")
    return {str(name): each for name, each in held.items() if isinstance(each, _Slice)}


def _placed(
    tensor: _Slice,
    bits: Mapping[str, int],
    entries: Mapping[str, zipfile.ZipInfo],
    root: str,
    raw: io.BufferedReader,
    file: Path,
) -> TorchTensor:
    entry = entries.get(f"{root}data/{tensor.storage.key}")
    width = bits[tensor.storage.dtype] // 8
    end = (tensor.start + math.prod(tensor.shape)) * width
    if entry is None or entry.compress_type != zipfile.ZIP_STORED:
        raise Problem(f"{file}: the numbers of storage {tensor.storage.key} are not in it")
    if not tensor.in_a_row:
        return TorchTensor(tensor.storage.dtype, tensor.shape, None)
    if end > entry.file_size:
        raise Problem(f"{file}: cut off: a tensor ends at byte {end} of {entry.file_size}")
    raw.seek(entry.header_offset)
    signature, name, extra = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise Problem(f"{file}: damaged: no entry where its directory says")
    start = entry.header_offset + _LOCAL_HEADER.size + name + extra + tensor.start * width
    return TorchTensor(tensor.storage.dtype, tensor.shape, start)


class _Unpickler(pickle._Unpickler):
    """Knows tensors, their storages and dicts of them, and nothing else.

    The one written in Python: that of C reserves gigabytes for a damaged number of its memo.
    """

    def __init__(self, stream: io.BytesIO, file: Path) -> None:
        super().__init__(stream)
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in; raises Problem for any other name."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known: Callable[..., object] | None = _KNOWN.get((module, name))
        if known is None:
            raise Problem(f"{self._file}: refused, it is more than tensors ({module}.{name})")
        return known

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, which the pickle names instead of holding it."""
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in _DTYPES.values():
            raise Problem(f"{self._file}: refused, it is more than tensors ({kind})")
        return _Storage(dtype, str(key))

    def load(self) -> object:
        """The object; raises Problem where the pickle is damaged."""
        try:
            return super().load()
        except Problem:
            raise
        except Exception as error:  # a damaged pickle can fail in any way
            raise Problem(f"{self._file}: its list of tensors is damaged ({error})") from None


def _tensor(storage: _Storage, start: int, shape: Any, stride: Any, *_: object) -> _Slice:
    if not isinstance(storage, _Storage) or len(shape) != len(stride):
        raise ValueError("a tensor without a storage")
    if min((start, *shape, *stride), default=0) < 0:
        raise ValueError("a tensor with a negative size")
    return _Slice(storage, int(start), tuple(map(int, shape)), tuple(map(int, stride)))


def _parameter(data: _Slice, *_: object) -> _Slice:
    return data


_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
}
