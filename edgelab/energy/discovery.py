"""Which power sources this board has: found by themselves or named in `power.toml`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, singledispatch
from pathlib import Path
from typing import NamedTuple

from edgelab.energy.commands import Command, find_pmic
from edgelab.energy.config import (
    BatteryConfig,
    CommandConfig,
    EstimateConfig,
    HwmonConfig,
    PlugConfig,
    PmicConfig,
    PolledConfig,
    PowerSettings,
    RaplConfig,
    ShellyGen1Config,
    ShellyGen2Config,
    SourceConfig,
    TasmotaConfig,
)
from edgelab.energy.estimate import PowerModel, estimate
from edgelab.energy.secret import Secret
from edgelab.energy.sources import METHODS, SCOPES, Source, SourceError, SourceFacts
from edgelab.energy.sysfs import find_battery, find_hwmon, find_rapl

Find = Callable[[], Sequence[Source]]

# The makers' 1 % holds for a load of hundreds of watts; a board is at the lower end of the range.
_PLUG_ACCURACY = 0.02
# Nothing is known of a user's program but what power.toml says.
_COMMAND_ACCURACY = 0.05

_AUTOMATIC: dict[str, Callable[[Path], Sequence[Source]]] = {
    "hwmon": find_hwmon,
    "rapl": find_rapl,
    "battery": find_battery,
    "pmic": find_pmic,
}


class Origin(NamedTuple):
    """Who asked for a source. `table`: which `[[source]]` of the file; None: found by itself."""

    kind: str
    table: int | None = None


class Absent(NamedTuple):
    """A source that is not read, and why. `origin`: None where only `use` names it."""

    what: str
    reason: str
    origin: Origin | None = None


@dataclass
class Discovered:
    """`sources`: to be read, the one that counts first. `absent`: what was looked for in vain.

    `origins`: where each source comes from, by its name.
    """

    sources: list[Source] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)


def discover(root: Path, settings: PowerSettings, model: PowerModel | None = None) -> Discovered:
    """Look for power sources under `root` and in the settings; asks no device on the network.

    A kind that the settings name is not looked for by itself as well. `model`, the board
    profile's, is used where nothing better is there.
    """
    found = Discovered()
    for what, origin, find in _places(root, settings):
        _look(found, what, origin, find)
    if not found.sources:
        _look(found, "estimate", Origin("estimate"), partial(_last_resort, root, model))
    found.sources = _in_order(found, settings.config.use)
    return found


def _places(root: Path, settings: PowerSettings) -> Iterator[tuple[str, Origin, Find]]:
    """Where to look: what a person calls it, who asked for it, and how."""
    configs = settings.config.source
    for index, config in enumerate(configs):
        find_this = partial(_configured, config, root, settings.password_of(index))
        yield config.label, Origin(config.kind, index), find_this
    for kind, find in _AUTOMATIC.items():
        if all(config.kind != kind for config in configs):
            yield kind, Origin(kind), partial(find, root)


def _look(found: Discovered, what: str, origin: Origin, find: Find) -> None:
    try:
        for source in find():
            if any(other.facts.name == source.facts.name for other in found.sources):
                raise SourceError("another source has this name: give one of them a name")
            found.sources.append(source)
            found.origins[source.facts.name] = origin
    except SourceError as error:
        found.absent.append(Absent(what, str(error), origin))
    except OSError as error:  # a folder that may not be looked into
        found.absent.append(Absent(what, (error.strerror or "cannot be read").lower(), origin))


def _in_order(found: Discovered, use: Sequence[str]) -> list[Source]:
    """The sources to read, the one that counts first."""
    if not use:
        return sorted(found.sources, key=_worth)
    by_name = {source.facts.name: source for source in found.sources}
    found.absent += [
        Absent(name, "named in `use`, but there is no such source")
        for name in use
        if name not in by_name and all(absent.what != name for absent in found.absent)
    ]
    found.absent += [
        Absent(name, "left out: `use` does not name it", found.origins.get(name))
        for name in by_name
        if name not in use
    ]
    return [by_name[name] for name in use if name in by_name]


def _worth(source: Source) -> tuple[int, int]:
    return METHODS.index(source.facts.method), SCOPES.index(source.facts.scope)


def _last_resort(root: Path, model: PowerModel | None) -> Sequence[Source]:
    if model is None:
        raise SourceError("the board's profile has no power model")
    return [estimate(model, root)]


def _configured(config: SourceConfig, root: Path, password: Secret | None) -> Sequence[Source]:
    """The sources of one table of the file, with what it says about them."""
    sources = _sources_of(config, root, password)
    if config.name and len(sources) > 1:
        names = ", ".join(source.facts.name for source in sources)
        raise SourceError(f"one name for several ({names}): say which by `chip`")
    said = {"name": config.name, "scope": config.scope, "accuracy": config.accuracy}
    if isinstance(config, PolledConfig):
        said["period_s"] = config.period_s
    for source in sources:
        changes = {key: value for key, value in said.items() if value is not None}
        source.facts = replace(source.facts, **changes)  # type: ignore[arg-type]
    return sources


@singledispatch
def _sources_of(config: SourceConfig, root: Path, password: Secret | None) -> Sequence[Source]:
    raise NotImplementedError(type(config).__name__)


@_sources_of.register
def _(config: HwmonConfig, root: Path, _: Secret | None) -> Sequence[Source]:
    return find_hwmon(root, config.chip, config.channel)


@_sources_of.register
def _(_config: RaplConfig, root: Path, _: Secret | None) -> Sequence[Source]:
    return find_rapl(root)


@_sources_of.register
def _(_config: BatteryConfig, root: Path, _: Secret | None) -> Sequence[Source]:
    return find_battery(root)


@_sources_of.register
def _(config: PmicConfig, root: Path, _: Secret | None) -> Sequence[Source]:
    sources = find_pmic(root)
    for source in sources:
        source.timeout_s = config.timeout_s
    return sources


@_sources_of.register
def _(config: CommandConfig, _root: Path, _: Secret | None) -> Sequence[Source]:
    facts = SourceFacts(
        config.label,
        config.method,
        "board input",
        _COMMAND_ACCURACY,
        slow=True,
        detail=config.command[0],
    )
    return [Command(facts, config.command, config.timeout_s)]


@_sources_of.register
def _(config: EstimateConfig, root: Path, _: Secret | None) -> Sequence[Source]:
    return [estimate(config.model, root)]


@_sources_of.register
def _(config: PlugConfig, _root: Path, password: Secret | None) -> Sequence[Source]:
    # Imported here: without a plug the supervisor pays for no HTTP client.
    from edgelab.energy import plugs
    from edgelab.energy.http import HttpDevice

    detail = f"{config.kind} at {config.host}:{config.port}"
    facts = SourceFacts(config.label, "measured", "wall", _PLUG_ACCURACY, slow=True, detail=detail)
    device = HttpDevice(config.host, config.port, config.timeout_s, config.user, password)
    match config:
        case ShellyGen2Config():
            return [plugs.shelly_gen2(facts, device, config.channel, config.component)]
        case ShellyGen1Config():
            return [plugs.shelly_gen1(facts, device, config.channel)]
        case TasmotaConfig():
            return [plugs.tasmota(facts, device, config.channel)]
    raise NotImplementedError(type(config).__name__)
