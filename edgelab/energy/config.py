"""`power.toml`: which power sources there are besides those that are found, and which count."""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.energy.estimate import PowerModel
from edgelab.energy.secret import Secret
from edgelab.records import Scope
from edgelab.schema import UNREADABLE, SchemaProblem, convert

FILE_NAME = "power.toml"
"""In `$EDGELAB_HOME`."""

CONFIG_VERSION = 1

Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[\w .:-]+$")]
Channel = Annotated[int, Meta(ge=0, le=63)]
Seconds = Annotated[float, Meta(ge=0.2, le=60)]

_HOST = re.compile(r"[A-Za-z0-9_.:%-]{1,253}")


class SourceConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What may be said of any source. None: what its kind knows by itself."""

    name: Name | None = None
    scope: Scope | None = None
    accuracy: Annotated[float, Meta(gt=0, le=1)] | None = None

    @property
    def kind(self) -> str:
        """The word that stands in the file."""
        return str(self.__struct_config__.tag)

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.name or self.kind


class HwmonConfig(SourceConfig, frozen=True, tag="hwmon"):
    """A chip of the kernel's hwmon devices, by its name there."""

    chip: Name | None = None
    channel: Annotated[int, Meta(ge=1, le=16)] | None = None

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.name or self.chip or self.kind


class RaplConfig(SourceConfig, frozen=True, tag="rapl"):
    """The processor's energy counters."""


class BatteryConfig(SourceConfig, frozen=True, tag="battery"):
    """The board's battery, while it discharges."""


class PolledConfig(SourceConfig, frozen=True, kw_only=True):
    """A source that is asked again and again, and may not answer."""

    period_s: Seconds = 1.0
    timeout_s: Seconds = 2.0


class PmicConfig(PolledConfig, frozen=True, tag="pmic"):
    """The Raspberry Pi 5's power management chip."""


class CommandConfig(PolledConfig, frozen=True, kw_only=True, tag="command"):
    """A program with its arguments that prints watts. No shell is involved."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    method: Literal["measured", "estimated"] = "measured"


class PlugConfig(PolledConfig, frozen=True, kw_only=True):
    """A device on the local network. Its password is kept apart: see `PowerSettings`."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 80
    channel: Channel = 0
    user: str = "admin"


class ShellyGen2Config(PlugConfig, frozen=True, kw_only=True, tag="shelly-gen2"):
    """A Shelly Plus, Pro, Gen3 or Gen4; a Mini PM without a relay is the component PM1."""

    component: Literal["Switch", "PM1"] = "Switch"


class ShellyGen1Config(PlugConfig, frozen=True, kw_only=True, tag="shelly-gen1"):
    """A Shelly of the first generation."""


class TasmotaConfig(PlugConfig, frozen=True, kw_only=True, tag="tasmota"):
    """A plug that runs Tasmota."""


class EstimateConfig(SourceConfig, frozen=True, kw_only=True, tag="estimate"):
    """Own coefficients of the utilisation model, in place of the board profile's."""

    model: PowerModel


AnySourceConfig = (
    HwmonConfig
    | RaplConfig
    | BatteryConfig
    | PmicConfig
    | CommandConfig
    | ShellyGen2Config
    | ShellyGen1Config
    | TasmotaConfig
    | EstimateConfig
)


class PowerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file without its passwords.

    `use`: names of the sources to read, the one that counts first; empty: all that there are, the
    most telling first. `idle_baseline_s`: how long to watch the idle board before a run.
    """

    schema_version: Annotated[int, Meta(ge=1, le=CONFIG_VERSION)] = CONFIG_VERSION
    source: tuple[AnySourceConfig, ...] = ()
    use: tuple[Name, ...] = ()
    idle_baseline_s: Annotated[float, Meta(ge=0, le=600)] = 10.0


@dataclass(frozen=True)
class PowerSettings:
    """The file: `passwords` by the index of their source. `warnings`: what a person must know."""

    config: PowerConfig = field(default_factory=PowerConfig)
    passwords: tuple[Secret | None, ...] = ()
    warnings: tuple[str, ...] = ()

    def password_of(self, index: int) -> Secret | None:
        """The password of the source with that index, None where it has none."""
        return self.passwords[index] if index < len(self.passwords) else None


def load(path: Path) -> PowerSettings:
    """Read `power.toml`; without one, the defaults.

    Raises SchemaProblem naming file, key, value and what would be right. Passwords are taken out
    before anything is checked, so that no message can quote one.
    """
    try:
        raw = msgspec.toml.decode(path.read_bytes())
    except FileNotFoundError:
        return PowerSettings()
    except OSError as error:
        raise SchemaProblem(f"{path}: cannot be read ({error.strerror})") from None
    except (*UNREADABLE, ValueError):
        # The parser's message may quote the line, and the line may hold a password.
        raise SchemaProblem(f"{path}: not valid TOML{_line_of_fault(path)}") from None
    passwords = _take_passwords(raw, path)
    config = convert(raw, PowerConfig, str(path))
    check(PowerSettings(config, passwords), str(path))
    exposed = any(passwords) and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    warning = f"{path} holds a password that others can read: chmod 600 {path}"
    return PowerSettings(config, passwords, (warning,) if exposed else ())


def save(path: Path, settings: PowerSettings) -> None:
    """Write `power.toml`, for its owner's eyes only; raises OSError."""
    config = settings.config
    lines = [f"schema_version = {config.schema_version}"]
    lines.append(f"idle_baseline_s = {config.idle_baseline_s}")
    if config.use:
        lines.append(f"use = {_toml(config.use)}")
    for index, source in enumerate(config.source):
        values = msgspec.to_builtins(source)
        password = settings.password_of(index)
        if password is not None:
            values["password"] = password.reveal()
        lines += ["", "[[source]]", *_fields(values)]
    replace_file(path, ("\n".join(lines) + "\n").encode())


def _take_passwords(raw: Any, path: Path) -> tuple[Secret | None, ...]:
    """Remove every password from the decoded file; anything odd is left for the schema to say."""
    sources = raw.get("source") if isinstance(raw, dict) else None
    if not isinstance(sources, list):
        sources = []
    passwords: list[Secret | None] = []
    for index, source in enumerate(sources):
        password = source.pop("password", None) if isinstance(source, dict) else None
        if password is not None and not (isinstance(password, str) and password):
            raise SchemaProblem(f"{path}: source[{index}].password: expected text in quotes")
        passwords.append(None if password is None else Secret(password))
    return tuple(passwords)


def check(settings: PowerSettings, where: str) -> None:
    """What a schema cannot say; raises SchemaProblem naming `where`, key and remedy."""
    for index, source in enumerate(settings.config.source):
        has_password = settings.password_of(index) is not None
        _check_plug(source, has_password, f"{where}: source[{index}]")
    labels = [source.label for source in settings.config.source]
    for label in labels:
        if labels.count(label) > 1:
            raise SchemaProblem(f"{where}: two sources are called {label}: give each its own name")


def _check_plug(source: AnySourceConfig, has_password: bool, where: str) -> None:
    if has_password and not isinstance(source, PlugConfig):
        raise SchemaProblem(f"{where}.password: only a plug has one")
    # Not by a pattern in the schema: its message would quote a password that stands in the host.
    if isinstance(source, PlugConfig) and not _HOST.fullmatch(source.host):
        raise SchemaProblem(
            f"{where}.host: a name or an address alone, without http://, user, password or path"
        )


def _line_of_fault(path: Path) -> str:
    """Where the parser stopped, without what stands there."""
    try:
        tomllib.loads(path.read_text(errors="replace"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
        return f" ({place[1]})" if place else ""
    except RecursionError:
        return " (nested too deep)"
    return " (not UTF-8)"


def _fields(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]


def _toml(value: Any) -> str:
    """A value as TOML: JSON's strings, numbers and arrays, but for a bare DEL in a string."""
    if isinstance(value, dict):
        return f"{{ {', '.join(_fields(value))} }}"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
