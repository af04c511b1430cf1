"""Small files of the kernel, read for one value."""

from __future__ import annotations

from pathlib import Path


class Unreadable(Exception):  # noqa: N818 - a reason, not a type name
    """A file that should hold a reading does not; the text says which and why."""


def text(path: Path) -> str:
    """The file without the white space and NUL around it; raises Unreadable."""
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None


def number(path: Path) -> int:
    """The whole number in the file; raises Unreadable."""
    content = text(path)
    try:
        return int(content)
    except ValueError:
        raise Unreadable(f"{path}: {content[:40]!r} is not a number") from None


def optional_number(path: Path) -> int | None:
    """The same, None where there is no such number."""
    try:
        return number(path)
    except Unreadable:
        return None


def optional_text(path: Path) -> str | None:
    """The file's text, None where it cannot be read or is empty."""
    try:
        return text(path) or None
    except Unreadable:
        return None


def table(path: Path) -> dict[str, int]:
    """A file of `name value` or `name: value unit` lines; raises Unreadable."""
    values: dict[str, int] = {}
    for line in text(path).splitlines():
        name, *rest = line.replace(":", " ").split()
        if rest and rest[0].lstrip("-").isdigit():
            values[name] = int(rest[0])
    return values
