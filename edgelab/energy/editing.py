"""Changes to `power.toml` as a person makes them: a source as lines of text, the order, the file.

Every change is checked as the file itself is; a file that is broken, or that somebody else changed
meanwhile, is never written over.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec.inspect import (
    DictType,
    Field,
    FloatType,
    IntType,
    LiteralType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from edgelab.energy.config import (
    AnySourceConfig,
    PlugConfig,
    PowerConfig,
    PowerSettings,
    SourceConfig,
    check,
    load,
    save,
)
from edgelab.energy.secret import Secret
from edgelab.problem import Problem
from edgelab.schema import SchemaProblem, convert

Change = Callable[[PowerSettings], PowerSettings]

_BY_KIND: dict[str, type[SourceConfig]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(AnySourceConfig)
}
KINDS: tuple[str, ...] = tuple(_BY_KIND)
"""What may stand as `kind` in the file."""

_OF_ANY_SOURCE = ("scope", "accuracy", "period_s", "timeout_s")
_WHERE = "power.toml"


@dataclass(frozen=True)
class TextField:
    """A key of a source as text. `name`: as in the file, dotted in an inner table.

    `default`: what holds where nothing is said, "" where the kind knows by itself or `required`.
    `choices`: the only values there are, "" among them where it may be left open.
    """

    name: str
    default: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


# One source as text ---------------------------------------------------------------------------


def text_fields(kind: str) -> list[TextField]:
    """The keys of a kind: its name, what it needs, what is its own, what any source has."""
    fields = [_text_field(name, field) for name, field in _fields(kind)]
    return sorted(
        fields, key=lambda f: (f.name != "name", not f.required, f.name in _OF_ANY_SOURCE)
    )


def has_password(kind: str) -> bool:
    """True where a source of this kind may have a password."""
    return issubclass(_BY_KIND[kind], PlugConfig)


def texts_of(source: SourceConfig) -> dict[str, str]:
    """The values of a source as they would be typed."""
    values = msgspec.to_builtins(source)
    return {name: _text(_value_at(values, name)) for name, _ in _fields(source.kind)}


def source_from(kind: str, texts: Mapping[str, str]) -> AnySourceConfig:
    """The source that was typed; empty text leaves a key to its default.

    Raises SchemaProblem naming key, value and what would be right.
    """
    raw: dict[str, Any] = {"kind": kind}
    for name, field in _fields(kind):
        typed = texts.get(name, "").strip()
        if typed:
            _put(raw, name, _value(name, field.type, typed))
        elif field.required:
            raise SchemaProblem(f"{name}: must be given")
    source: AnySourceConfig = convert(raw, _BY_KIND[kind], kind)  # type: ignore[assignment]
    return source


# Changes of the settings ----------------------------------------------------------------------


def with_source(
    settings: PowerSettings, table: int | None, source: AnySourceConfig, password: Secret | None
) -> PowerSettings:
    """`source` at the place of `table`, or as a new one; where `use` names sources, it too."""
    sources = list(settings.config.source)
    passwords = [settings.password_of(index) for index in range(len(sources))]
    use = settings.config.use
    if table is None:
        sources.append(source)
        passwords.append(password)
        use = (*use, source.label) if use and source.label not in use else use
    else:
        before, sources[table], passwords[table] = sources[table].label, source, password
        use = tuple(source.label if name == before else name for name in use)
    return _changed(settings, passwords, source=tuple(sources), use=use)


def without_source(settings: PowerSettings, table: int) -> PowerSettings:
    """The settings less one source."""
    label = settings.config.source[table].label
    kept = [index for index in range(len(settings.config.source)) if index != table]
    return _changed(
        settings,
        [settings.password_of(index) for index in kept],
        source=tuple(settings.config.source[index] for index in kept),
        use=tuple(name for name in settings.config.use if name != label),
    )


def in_order(settings: PowerSettings, names: Sequence[str]) -> PowerSettings:
    """Read these sources, the first counts; none: all there are, the most telling first."""
    return _changed(settings, settings.passwords, use=tuple(dict.fromkeys(names)))


def with_baseline(settings: PowerSettings, typed: str) -> PowerSettings:
    """Watch the idle board for so many seconds before each run."""
    return _changed(settings, settings.passwords, idle_baseline_s=_number(typed.strip()))


def change_file(path: Path, seen: PowerConfig, change: Change) -> PowerSettings:
    """Apply `change` to the file as it stands now, and write it.

    Raises Problem where the file is broken, is not what was `seen` any more, or cannot be written.
    """
    settings = load(path)
    if settings.config != seen:
        raise Problem(f"{path} was changed by somebody else: look at it, then do it again")
    changed = change(settings)
    try:
        save(path, changed)
    except OSError as error:
        raise Problem(f"{path}: cannot be written ({error.strerror})") from None
    return load(path)


def _changed(
    settings: PowerSettings, passwords: Sequence[Secret | None], **values: Any
) -> PowerSettings:
    raw = {**msgspec.to_builtins(settings.config), **msgspec.to_builtins(values)}
    changed = replace(
        settings, config=convert(raw, PowerConfig, _WHERE), passwords=tuple(passwords)
    )
    check(changed, _WHERE)
    return changed


# Between text and values ----------------------------------------------------------------------


def _fields(kind: str) -> Iterator[tuple[str, Field]]:
    """The keys of a kind; those of an inner table with its name in front."""
    for field in _struct(_BY_KIND[kind]).fields:
        if isinstance(field.type, StructType):
            for inner in field.type.fields:
                yield f"{field.encode_name}.{inner.encode_name}", inner
        else:
            yield field.encode_name, field


def _struct(kind: type[SourceConfig]) -> StructType:
    info = type_info(kind)
    assert isinstance(info, StructType)
    return info


def _text_field(name: str, field: Field) -> TextField:
    default = None if field.default is msgspec.NODEFAULT else field.default
    choices = tuple(
        str(value)
        for option in _options(field.type)
        if isinstance(option, LiteralType)
        for value in option.values
    )
    if choices and default is None:
        choices = ("", *choices)
    return TextField(name, _text(default), choices, field.required)


def _options(type_: Type) -> tuple[Type, ...]:
    return type_.types if isinstance(type_, UnionType) else (type_,)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return shlex.join(value)
    if isinstance(value, dict):
        return " ".join(f"{key}={part}" for key, part in value.items())
    return str(value)


def _value(name: str, type_: Type, typed: str) -> Any:
    """What was typed as the field's type; what does not fit is left for the schema to refuse."""
    kinds = {type(option) for option in _options(type_)}
    if kinds & {IntType, FloatType}:
        return _number(typed)
    if VarTupleType in kinds:
        return _words(name, typed)
    if DictType in kinds:
        pairs = (word.partition("=") for word in _words(name, typed))
        return {key: _number(value) for key, _, value in pairs}
    return typed


def _words(name: str, typed: str) -> list[str]:
    try:
        return shlex.split(typed)
    except ValueError:
        raise SchemaProblem(f"{name}: a quotation mark is not closed") from None


def _number(typed: str) -> int | float | str:
    try:
        return int(typed)
    except ValueError:
        pass
    try:
        value = float(typed)
    except ValueError:
        return typed
    return value if math.isfinite(value) else typed


def _put(raw: dict[str, Any], name: str, value: Any) -> None:
    table, _, key = name.rpartition(".")
    (raw.setdefault(table, {}) if table else raw)[key] = value


def _value_at(values: Mapping[str, Any], name: str) -> Any:
    table, _, key = name.rpartition(".")
    return (values[table] if table else values).get(key)
