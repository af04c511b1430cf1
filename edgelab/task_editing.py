"""A task's settings as a person types them: one line a key, and back into settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, combinations
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

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


def choices_of(settings: TaskSettings, key: str) -> tuple[str, ...]:
    """All that can stand in the line of a key, empty for nothing; () where it has to be typed.

    Of a list of words, all the ways to take some of them in their order.
    """
    return _choices(_type_at(inspect.type_info(type(settings)), key.split(".")))


def path_or_name(text: str, names: Iterable[str]) -> str:
    """A name as it is, what lies on the disk as an absolute path."""
    path = Path(text).expanduser()
    return str(path.absolute()) if text and text not in names and path.exists() else text


def _type_at(kind: inspect.Type, path: list[str]) -> inspect.Type:
    for name in path:
        assert isinstance(kind, inspect.StructType)
        kind = next(field.type for field in kind.fields if field.encode_name == name)
    return kind


def _choices(kind: inspect.Type) -> tuple[str, ...]:
    match kind:
        case inspect.BoolType():
            return ("yes", "no")
        case inspect.EnumType(cls):
            return tuple(str(each.value) for each in cls)
        case inspect.LiteralType(values):
            return tuple(map(str, values))
        case inspect.UnionType(types):
            found = chain.from_iterable(map(_choices, types))
            return ("", *found) if all(map(_is_closed, types)) else ()
        case inspect.VarTupleType(item_type=inspect.EnumType(cls)):
            words = [str(each.value) for each in cls]
            sizes = range(1, len(words) + 1)
            return tuple(" ".join(some) for size in sizes for some in combinations(words, size))
    return ()


def _is_closed(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.NoneType) or bool(_choices(kind))


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
