"""Power as the kernel shows it: hwmon chips, RAPL counters, the battery.

All paths lie under a root that tests replace. A `find_*` function gives the sources there are, or
raises SourceError with the reason why there are none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgelab.energy.sources import Reading, SourceError, SourceFacts
from edgelab.records import Scope

_POWER_CHIPS = frozenset(
    ("ina219", "ina220", "ina226", "ina228", "ina230", "ina231", "ina237", "ina238", "ina260")
)
_CHANNEL_CHIP = "ina3221"
_CHANNELS = (1, 2, 3)  # beyond them the INA3221 shows its shunt voltages and their sum

# Shunts of 1 % and a gain error of some tenths: standard uncertainty, rounded up.
_SHUNT_ACCURACY = 0.01
# Neither has a maker's figure; comparisons with instruments differ by a few per cent.
_RAPL_ACCURACY = 0.05
_BATTERY_ACCURACY = 0.05

_INPUT: Scope = "board input"
_DRAINED = "Discharging"
_PACKAGE_ZONE = re.compile(r"intel-rapl:\d+")


@dataclass
class HwmonPower:
    """A chip that multiplies by itself: `powerN_input`, µW."""

    facts: SourceFacts
    path: Path

    def read(self) -> Reading:
        """Watts now."""
        return Reading(watts=_number(self.path) / 1e6)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class HwmonChannels:
    """A chip that shows volts and amperes only: the sum of `inN_input`, mV, x `currN_input`, mA."""

    facts: SourceFacts
    folder: Path
    channels: tuple[int, ...]

    def read(self) -> Reading:
        """Watts now."""
        microwatts = sum(
            _number(self.folder / f"in{channel}_input")
            * _number(self.folder / f"curr{channel}_input")
            for channel in self.channels
        )
        return Reading(watts=microwatts / 1e6)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class _RaplZone:
    path: Path
    range_uj: int
    last_uj: int


class Rapl:
    """The energy counters of all processor packages; each wraps at its own range."""

    def __init__(self, facts: SourceFacts, zones: list[Path]) -> None:
        self.facts = facts
        self._zones = [
            _RaplZone(zone, _number(zone / "max_energy_range_uj"), _number(zone / "energy_uj"))
            for zone in zones
        ]
        self._total_uj = 0

    def read(self) -> Reading:
        """Joules since it was opened. All packages are read before any of them is counted."""
        values = [_number(zone.path / "energy_uj") for zone in self._zones]
        for zone, value in zip(self._zones, values, strict=True):
            step = value - zone.last_uj
            self._total_uj += step if step >= 0 else step + zone.range_uj
            zone.last_uj = value
        return Reading(joules=self._total_uj / 1e6)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Battery:
    """What the batteries give while they discharge; on external power they know nothing of us."""

    facts: SourceFacts
    folders: list[Path]

    def read(self) -> Reading:
        """Watts now, over all batteries that discharge."""
        discharging = [folder for folder in self.folders if _text(folder / "status") == _DRAINED]
        if not discharging:
            raise SourceError("not discharging: the board is on external power")
        return Reading(watts=sum(_battery_watts(folder) for folder in discharging))

    def close(self) -> None:
        """Nothing is held."""


def find_hwmon(
    root: Path, chip: str | None = None, channel: int | None = None
) -> list[HwmonPower | HwmonChannels]:
    """The power monitors among the hwmon devices.

    Without `chip` only chips that are made for it: a supply's or a graphics card's own power says
    nothing of the board. `channel` picks `powerN_input` or the INA3221's channel N.
    """
    folders = {
        folder: name
        for folder in sorted(root.glob("sys/class/hwmon/hwmon*"))
        if _is_wanted(name := _text(folder / "name"), chip)
    }
    if not folders:
        raise SourceError(f"no {chip or 'INA219, INA226 or INA3221'} among the hwmon devices")
    names = list(folders.values())
    return [
        _hwmon(folder, name if names.count(name) == 1 else _with_address(name, folder), channel)
        for folder, name in folders.items()
    ]


def find_rapl(root: Path) -> list[Rapl]:
    """The processor's energy counters as one source."""
    zones = [
        zone
        for zone in sorted(root.glob("sys/class/powercap/intel-rapl:*"))
        # Subzones are parts of their package; psys covers the packages once more.
        if _PACKAGE_ZONE.fullmatch(zone.name) and _text(zone / "name").startswith("package")
    ]
    if not zones:
        raise SourceError("no RAPL counters in /sys/class/powercap")
    detail = ", ".join(_text(zone / "name") for zone in zones)
    facts = SourceFacts("rapl", "counter", "package", _RAPL_ACCURACY, detail=detail)
    return [Rapl(facts, zones)]


def find_battery(root: Path) -> list[Battery]:
    """The board's batteries as one source; those of mice and headsets are not ours."""
    folders = [
        folder
        for folder in sorted(root.glob("sys/class/power_supply/*"))
        if _text(folder / "type") == "Battery" and _text(folder / "scope") != "Device"
    ]
    if not folders:
        raise SourceError("no battery")
    detail = ", ".join(folder.name for folder in folders)
    facts = SourceFacts("battery", "measured", "battery", _BATTERY_ACCURACY, detail=detail)
    battery = Battery(facts, folders)
    battery.read()
    return [battery]


def _is_wanted(name: str, chip: str | None) -> bool:
    return name == chip if chip else name in _POWER_CHIPS or name == _CHANNEL_CHIP


def _hwmon(folder: Path, name: str, channel: int | None) -> HwmonPower | HwmonChannels:
    power = folder / f"power{channel or 1}_input"
    if power.exists():
        facts = SourceFacts(name, "measured", _INPUT, _SHUNT_ACCURACY, detail=folder.name)
        return HwmonPower(facts, power)
    labels = _channels(folder)
    chosen, scope = _without_doubles(labels) if channel is None else ((channel,), _INPUT)
    if not chosen or not labels.keys() >= set(chosen):
        raise SourceError(f"{name}: {f'channel {channel}' if channel else 'no channel'} to read")
    detail = f"{folder.name}: {', '.join(labels[number] for number in chosen)}"
    facts = SourceFacts(name, "measured", scope, _SHUNT_ACCURACY, detail=detail)
    return HwmonChannels(facts, folder, chosen)


def _channels(folder: Path) -> dict[int, str]:
    """The enabled channels with their labels."""
    return {
        number: _text(folder / f"in{number}_label") or f"channel {number}"
        for number in _CHANNELS
        if (folder / f"in{number}_input").exists()
        and (folder / f"curr{number}_input").exists()
        and _text(folder / f"in{number}_enable") != "0"
    }


def _without_doubles(labels: dict[int, str]) -> tuple[tuple[int, ...], Scope]:
    """Which channels to add up, and what they cover.

    Jetson modules measure their input (VDD_IN, POM_5V_IN) on one channel and parts of it on the
    others: their sum would count the parts twice.
    """
    for number, label in labels.items():
        if label.upper().endswith("_IN"):
            return (number,), _INPUT
    return tuple(labels), "rails"


def _with_address(name: str, folder: Path) -> str:
    """Two chips of a kind are told apart by bus and address, which a reboot does not change."""
    device = folder / "device"
    return f"{name} {device.resolve().name if device.exists() else folder.name}"


def _battery_watts(folder: Path) -> float:
    """Some drivers show a discharge as negative."""
    if (folder / "power_now").exists():
        return abs(_number(folder / "power_now")) / 1e6
    return abs(_number(folder / "current_now") * _number(folder / "voltage_now")) / 1e12


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except PermissionError:
        raise SourceError(f"{path.name}: only root may read it") from None
    except OSError as error:
        raise SourceError(f"{path.name}: {(error.strerror or 'cannot be read').lower()}") from None
    except ValueError:
        raise SourceError(f"{path.name}: not a number") from None
