"""A task's settings as a person types them: one line a key, and back into settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgelab.schema import convert
from edgelab.settings.base import TaskSettings

S = TypeVar("S", bound=TaskSettings)


def texts_of(settings: TaskSettings, keys: Iterable[str]) -> dict[str, str]:
    """What stands in the line of each key; a key of a struct within is written `lora.rank`."""
    plain = msgspec.to_builtins(settings)
    return {key: _text(_at(plain, key)) for key in keys}


def settings_from(settings: S, texts: Mapping[str, str]) -> S:
    """The settings with what was typed; an empty line means the task's own default.

    Raises Problem naming the key, its value and what would be right.
    """
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    plain["task"] = settings.task
    for key, text in texts.items():
        _set(plain, key, text.strip())
    return convert(plain, type(settings), f"{settings.task} settings", strict=False)


def path_or_name(text: str, names: Iterable[str]) -> str:
    """A name as it is, what lies on the disk as an absolute path."""
    path = Path(text).expanduser()
    return str(path.absolute()) if text and text not in names and path.exists() else text


def _at(plain: Mapping[str, Any], key: str) -> Any:
    value: Any = plain
    for part in key.split("."):
        value = value[part]
    return value


def _set(plain: dict[str, Any], key: str, text: str) -> None:
    *parts, last = key.split(".")
    for part in parts:
        plain = plain[part]
    if not text:
        plain.pop(last, None)
    elif isinstance(plain.get(last), (list, tuple)):
        plain[last] = text.replace(",", " ").split()
    else:
        plain[last] = {"yes": "true", "no": "false"}.get(text, text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
