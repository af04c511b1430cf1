"""The board's sensors: each reads one kind of thing into the fields of a `Sample`.

A sensor is discovered once. A file that cannot be read later costs that sensor's field and leaves
a reason behind, nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgelab.telemetry import files
from edgelab.telemetry.files import Unreadable

Fields = dict[str, Any]

_THROTTLING_COOLERS = ("cpufreq", "thermal-cpufreq", "thermal-devfreq", "devfreq", "cpu-")
_NPU_FILES = ("proc/rknpu/load", "sys/kernel/debug/rknpu/load")
_PI_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


class Sensor(Protocol):
    """One kind of reading. `source` is the file or folder; `period_s` how often it is read."""

    name: str
    source: str
    period_s: float

    def read(self) -> Fields:
        """Fields of a `Sample`; raises Unreadable."""
        ...


@dataclass(frozen=True)
class Absent:
    """A sensor that this machine does not have, and how we know."""

    name: str
    reason: str


class CpuLoad:
    """Busy share of each core since the last reading, from the kernel's tick counts."""

    name = "cpu load"
    period_s = 1.0

    def __init__(self, root: Path) -> None:
        self._path = root / "proc/stat"
        self.source = str(self._path)
        self._before = self._ticks()

    def read(self) -> Fields:
        """`cpu`: % a core; `stolen`: % of one core that the hypervisor gave to others."""
        before, self._before = self._before, self._ticks()
        shares, stolen = [], 0.0
        for core, (busy, steal, total) in sorted(self._before.items()):
            busy_before, steal_before, total_before = before.get(core, (busy, steal, total))
            ticks = total - total_before
            shares.append(round(100 * (busy - busy_before) / ticks, 1) if ticks > 0 else 0.0)
            stolen += 100 * (steal - steal_before) / ticks if ticks > 0 else 0.0
        return {"cpu": tuple(shares), "stolen": round(stolen, 1)}

    def _ticks(self) -> dict[int, tuple[int, int, int]]:
        ticks: dict[int, tuple[int, int, int]] = {}
        for line in files.text(self._path).splitlines():
            name, *values = line.split()
            if name.startswith("cpu") and name[3:].isdigit():
                user, nice, system, idle, iowait, irq, softirq, steal = map(
                    int, [*values[:8], *["0"] * (8 - len(values))]
                )
                total = user + nice + system + idle + iowait + irq + softirq + steal
                ticks[int(name[3:])] = (total - idle - iowait - steal, steal, total)
        return ticks


class Frequency:
    """Each cpufreq policy's frequency now, and the highest that it may have now."""

    name = "frequency"
    period_s = 1.0

    def __init__(self, policies: list[Path]) -> None:
        self._policies = policies
        self.source = _several(policies)

    def read(self) -> Fields:
        """MHz a policy, in the order of their numbers."""
        now = [files.number(policy / "scaling_cur_freq") / 1000 for policy in self._policies]
        cap = [files.optional_number(policy / "scaling_max_freq") for policy in self._policies]
        known = [khz / 1000 for khz in cap if khz is not None]
        return {
            "frequency_mhz": tuple(now),
            "frequency_cap_mhz": tuple(known) if len(known) == len(cap) else (),
        }


class Temperature:
    """Every thermal zone by its type; zones of the same type keep their folder's name."""

    name = "temperature"
    period_s = 1.0

    def __init__(self, zones: dict[str, Path]) -> None:
        self._zones = zones
        self.source = _several(list(zones.values()))
        self.broken: str | None = None

    def read(self) -> Fields:
        """Degrees Celsius by zone; zones that fail alone are left out alone."""
        readings, reasons = {}, []
        for name, zone in self._zones.items():
            try:
                readings[name] = files.number(zone / "temp") / 1000
            except Unreadable as reason:
                reasons.append(str(reason))
        self.broken = "; ".join(reasons) or None
        if not readings:
            raise Unreadable(self.broken or "no zone")
        return {"temperatures": readings}


class Cooling:
    """Cooling devices that slow a processor down, and how far they are at it. Fans are apart."""

    name = "throttling"
    period_s = 1.0

    def __init__(self, devices: dict[str, Path]) -> None:
        self._devices = devices
        self.source = _several(list(devices.values()))

    def read(self) -> Fields:
        """State by device, above 0 while it throttles."""
        states = {name: files.number(path / "cur_state") for name, path in self._devices.items()}
        return {"cooling": {name: state for name, state in states.items() if state > 0}}


class PiThrottling:
    """What a Raspberry Pi's firmware does: bits 0-3 now, 16-19 since boot (not read here)."""

    name = "throttling (firmware)"
    period_s = 1.0
    _BITS = ((0, "under-voltage"), (1, "frequency cap"), (2, "throttled"), (3, "soft limit"))

    def __init__(self, path: Path) -> None:
        self._path = path
        self.source = str(path)

    def read(self) -> Fields:
        """The names of the bits that are set now, as cooling states."""
        content = files.text(self._path)
        try:
            bits = int(content.removeprefix("throttled="), 16)
        except ValueError:
            raise Unreadable(f"{self._path}: {content[:40]!r} is not a hex number") from None
        return {"cooling": {name: 1 for bit, name in self._BITS if bits >> bit & 1}}


class Fan:
    """Revolutions a minute of the first fan that tells them."""

    name = "fan"
    period_s = 5.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self.source = str(path)

    def read(self) -> Fields:
        """`fan_rpm`."""
        return {"fan_rpm": files.number(self._path)}


class Memory:
    """Memory and swap in use, as the kernel counts them."""

    name = "memory"
    period_s = 1.0

    def __init__(self, root: Path) -> None:
        self._path = root / "proc/meminfo"
        self.source = str(self._path)
        self._zram = sorted(root.glob("sys/block/zram*/mm_stat"))

    def read(self) -> Fields:
        """Bytes. Used is what a new process could not have without swapping."""
        values = files.table(self._path)
        try:
            total, available = values["MemTotal"] * 1024, values["MemAvailable"] * 1024
        except KeyError as key:
            raise Unreadable(f"{self._path}: no {key.args[0]}") from None
        swap = (values.get("SwapTotal", 0) - values.get("SwapFree", 0)) * 1024
        fields: Fields = {"memory_total": total, "memory_used": total - available}
        zram = sum(_third(path) for path in self._zram)
        return fields | {"swap_used": swap, "zram_used": zram or None}


class SwapActivity:
    """Pages swapped in and out since boot: only their growth says anything."""

    name = "swapping"
    period_s = 1.0

    def __init__(self, root: Path) -> None:
        self._path = root / "proc/vmstat"
        self.source = str(self._path)

    def read(self) -> Fields:
        """`swapped_pages`: in plus out."""
        values = files.table(self._path)
        if "pswpin" not in values:
            raise Unreadable(f"{self._path}: no pswpin")
        return {"swapped_pages": values["pswpin"] + values.get("pswpout", 0)}


class Pressure:
    """Share of time in which some task waited for CPU, memory or disk (PSI, 10 s average)."""

    name = "pressure"
    period_s = 1.0
    _AVERAGE = re.compile(r"some avg10=([0-9.]+)")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.source = str(folder)

    def read(self) -> Fields:
        """% by resource; those at 0 are left out."""
        shares = {}
        for kind in ("cpu", "memory", "io"):
            match = self._AVERAGE.search(files.optional_text(self._folder / kind) or "")
            if match and float(match[1]):
                shares[kind] = float(match[1])
        return {"pressure": shares}


class Disk:
    """Room on the disk that holds the runs."""

    name = "disk"
    period_s = 30.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.source = str(folder)

    def read(self) -> Fields:
        """`disk_free`: bytes that an ordinary user may still write."""
        try:
            status = os.statvfs(self._folder)
        except OSError as error:
            raise Unreadable(f"{self._folder}: {error.strerror}") from None
        return {"disk_free": status.f_bavail * status.f_frsize}


class NpuLoad:
    """Load of a Rockchip NPU. Its frequency is never read: asking for it powers the NPU up."""

    name = "NPU load"
    period_s = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self.source = str(path)

    def read(self) -> Fields:
        """%, the busiest core of `NPU load:  Core0: 12%, Core1: 0%`."""
        shares = re.findall(r"(\d+)%", files.text(self._path))
        if not shares:
            raise Unreadable(f"{self._path}: no percentage in it")
        return {"npu_load": float(max(map(int, shares)))}


class GpuLoad:
    """Load of the GPU: devfreq's `47@200000000Hz`, or a Jetson's per mille."""

    name = "GPU load"
    period_s = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self.source = str(path)

    def read(self) -> Fields:
        """%."""
        content = files.text(self._path)
        share, at, _ = content.partition("@")
        if not share.isdigit():
            raise Unreadable(f"{self._path}: {content[:40]!r} is no load")
        return {"gpu_load": float(share) if at else int(share) / 10}


def discover(root: Path, home: Path) -> tuple[list[Sensor], list[Absent]]:
    """Find every sensor of this machine; what is not there is listed with the reason."""
    found: list[Sensor] = []
    absent: list[Absent] = []
    for name, make in _makers(root, home):
        try:
            found.append(make())
        except Unreadable as reason:
            absent.append(Absent(name, str(reason)))
    return found, absent


def thermal_zones(root: Path) -> dict[str, Path]:
    """Zones by type; raises Unreadable where there are none."""
    return _by_type(sorted(root.glob("sys/class/thermal/thermal_zone*"), key=_trailing_number))


def policies(root: Path) -> list[Path]:
    """cpufreq policies in the order of their numbers."""
    return sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"), key=_trailing_number)


def _makers(root: Path, home: Path) -> Iterator[tuple[str, Callable[[], Sensor]]]:
    yield CpuLoad.name, lambda: CpuLoad(root)
    yield (
        Frequency.name,
        lambda: Frequency(_some(policies(root), root / "sys/devices/system/cpu/cpufreq")),
    )
    yield Temperature.name, lambda: Temperature(_named(thermal_zones(root), root))
    yield Cooling.name, lambda: Cooling(_throttling_coolers(root))
    yield PiThrottling.name, lambda: PiThrottling(_there(root / _PI_THROTTLED))
    yield Fan.name, lambda: Fan(_first(root, ("sys/class/hwmon/hwmon*/fan1_input",)))
    yield Memory.name, lambda: Memory(root) if files.text(root / "proc/meminfo") else _none(root)
    yield SwapActivity.name, lambda: SwapActivity(_holding(root, "proc/vmstat"))
    yield Pressure.name, lambda: Pressure(_there(root / "proc/pressure/cpu").parent)
    yield Disk.name, lambda: Disk(home)
    yield NpuLoad.name, lambda: NpuLoad(_first(root, _NPU_FILES))
    yield (
        GpuLoad.name,
        lambda: GpuLoad(
            _first(
                root,
                (
                    "sys/class/devfreq/*gpu*/load",
                    "sys/devices/gpu.0/load",
                    "sys/devices/platform/*gpu*/load",
                ),
            )
        ),
    )


def _throttling_coolers(root: Path) -> dict[str, Path]:
    devices = sorted(root.glob("sys/class/thermal/cooling_device*"), key=_trailing_number)
    slowing = [
        device
        for device in devices
        if (files.optional_text(device / "type") or "").lower().startswith(_THROTTLING_COOLERS)
        or files.optional_text(device / "type") == "Processor"
    ]
    if not slowing:
        raise Unreadable(f"{root / 'sys/class/thermal'}: no cooling device that slows a processor")
    return _by_type(slowing)


def _third(path: Path) -> int:
    """mm_stat: original size, compressed size, memory used in all, ..."""
    values = (files.optional_text(path) or "").split()
    if len(values) < 3 or not values[2].isdigit():
        raise Unreadable(f"{path}: not three numbers")
    return int(values[2])


def _by_type(folders: list[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for folder in folders:
        kind = files.optional_text(folder / "type") or folder.name
        named[kind if kind not in named else folder.name] = folder
    return named


def _named(zones: dict[str, Path], root: Path) -> dict[str, Path]:
    if not zones:
        raise Unreadable(f"{root / 'sys/class/thermal'}: no thermal zone")
    return zones


def _some(paths: list[Path], where: Path) -> list[Path]:
    if not paths:
        raise Unreadable(f"{where}: no policy")
    return paths


def _there(path: Path) -> Path:
    files.text(path)
    return path


def _holding(root: Path, name: str) -> Path:
    files.text(root / name)
    return root


def _none(root: Path) -> Memory:
    raise Unreadable(f"{root / 'proc/meminfo'}: empty")


def _first(root: Path, patterns: tuple[str, ...]) -> Path:
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            if files.optional_text(path) is not None:
                return path
    raise Unreadable(f"no {' or '.join(patterns)} that can be read")


def _several(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _trailing_number(path: Path) -> int:
    digits = re.search(r"(\d+)$", path.name)
    return int(digits[1]) if digits else 0
