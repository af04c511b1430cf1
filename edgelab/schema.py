"""Reading typed, versioned data from files: errors name file, key, value and remedy."""

from __future__ import annotations

import re
import reprlib
import stat
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgelab.problem import Problem

T = TypeVar("T")

# What decoders raise on bytes that are no document: bad UTF-8 and bottomless nesting are not
# msgspec's own errors.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_AT_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_PATH_PART = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_SHOWN_VALUE = 80

# A plain repr would write a YAML bomb out in full.
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 2, _SHOWN_VALUE, _SHOWN_VALUE


class SchemaProblem(Problem):
    """A file that does not hold what its schema says."""


def read_json(path: Path, kind: type[T]) -> T:
    """Decode the JSON file at `path` as `kind`.

    Raises `SchemaProblem` naming file, key, value and what would be right.
    """
    data = _read(path)
    try:
        raw = msgspec.json.decode(data)
    except UNREADABLE as error:
        raise SchemaProblem(f"{path}: not valid JSON ({error})") from None
    return convert(raw, kind, str(path))


def read_toml(path: Path, kind: type[T]) -> T:
    """Decode the TOML file at `path` as `kind`; raises `SchemaProblem` as `read_json` does."""
    data = _read(path)
    try:
        raw = msgspec.toml.decode(data)
    except (*UNREADABLE, ValueError) as error:  # ValueError: a date that is none
        raise SchemaProblem(f"{path}: not valid TOML ({error})") from None
    return convert(raw, kind, str(path))


def convert(raw: Any, kind: type[T], source: str, *, strict: bool = True) -> T:
    """Turn plain data into `kind`, or raise a `SchemaProblem` that names `source` and the key.

    Without `strict` text may stand for numbers and truth values: what a person typed.
    """
    try:
        # JSON has text as keys only.
        return msgspec.convert(raw, kind, str_keys=True, strict=strict)
    except msgspec.ValidationError as error:
        raise SchemaProblem(f"{source}: {_explain(str(error), raw)}") from None


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        # For a pipe one would wait, from /dev/zero read, without end.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise SchemaProblem(f"{path}: cannot be read (a pipe or a device)")
        return path.read_bytes()
    except OSError as error:
        raise SchemaProblem(f"{path}: cannot be read ({error.strerror})") from None


def _explain(message: str, raw: Any) -> str:
    match = _AT_PATH.match(message)
    what, path = (match["what"], match["path"]) if match else (message, None)
    what = what[:1].lower() + what[1:]
    if not path or path == "$":
        return what
    value = _value_at(raw, path)
    shown = _short.repr(value)[:_SHOWN_VALUE]
    return f"{path.removeprefix('$.')} = {shown}: {what}"


def _value_at(raw: Any, path: str) -> Any:
    value = raw
    for key, index in _PATH_PART.findall(path):
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value
