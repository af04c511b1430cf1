"""The board as one instrument: all sensors, each at its own rate, one `Sample` a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgelab.records import BoardFacts, CoolingZone, FrequencyPolicy, Sample
from edgelab.telemetry import files, sensors
from edgelab.telemetry.files import Unreadable
from edgelab.telemetry.sensors import Absent, Sensor
from edgelab.telemetry.usage import OwnProcess

if TYPE_CHECKING:
    from edgelab.telemetry.process_tree import ProcessTree

_EARLY_S = 0.25


class Board:
    """Samples the machine. CPU shares are those since the last sample.

    `problems` says, by sensor, why its last reading is missing.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        home: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._monotonic = monotonic
        self.sensors, self.absent = sensors.discover(root, home or Path("/"))
        self.problems: dict[str, str] = {}
        self._due: dict[str, float] = {}
        self._kept: dict[str, Any] = {}
        self._own = OwnProcess()

    def sample(
        self, runner: ProcessTree | None = None, consoles: Iterable[ProcessTree] = ()
    ) -> Sample:
        """Read what is due; slower sensors keep their last reading meanwhile."""
        now = self._monotonic()
        fields: dict[str, Any] = {}
        for sensor in self.sensors:
            fields = _merged(fields, self._read(sensor, now))
        used, own = (runner.read() if runner else None), self._own.read()
        watching = [usage.cpu for tree in consoles if (usage := tree.read()).cpu is not None]
        if used is not None:
            fields["runner_cpu"], fields["runner_memory"] = used.cpu, used.memory
            fields["runner_major_faults"] = used.major_faults
        return Sample(
            t=now,
            supervisor_cpu=own.cpu,
            supervisor_memory=own.memory,
            console_cpu=round(sum(c for c in watching if c is not None), 1) if watching else None,
            **fields,
        )

    def facts(self) -> BoardFacts:
        """What does not change during a run: trip points, policies, governors."""
        zones = sensors.thermal_zones(self._root)
        return BoardFacts(
            t=self._monotonic(),
            zones=tuple(_zone(name, path) for name, path in zones.items()),
            policies=tuple(_policy(path) for path in sensors.policies(self._root)),
            absent={each.name: each.reason for each in self.absent},
        )

    def memory_available(self) -> int | None:
        """Bytes that a new process can have without swapping, as the kernel estimates."""
        try:
            return files.table(self._root / "proc/meminfo")["MemAvailable"] * 1024
        except (Unreadable, KeyError):
            return None

    def _read(self, sensor: Sensor, now: float) -> dict[str, Any]:
        if now + _EARLY_S < self._due.get(sensor.name, now):
            kept: dict[str, Any] = self._kept.get(sensor.name, {})
            return kept
        self._due[sensor.name] = now + sensor.period_s
        try:
            reading = sensor.read()
        except Unreadable as reason:
            self.problems[sensor.name] = str(reason)
            reading = {}
        else:
            partly = getattr(sensor, "broken", None)
            self.problems.pop(sensor.name, None)
            if partly:
                self.problems[sensor.name] = partly
        self._kept[sensor.name] = reading
        return reading


def _merged(fields: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Two sensors may tell of cooling: the kernel and a firmware. Both count."""
    if "cooling" in fields and "cooling" in more:
        more = more | {"cooling": fields["cooling"] | more["cooling"]}
    return fields | more


def _zone(name: str, path: Path) -> CoolingZone:
    trips: dict[str, float] = {}
    for kind_file in sorted(path.glob("trip_point_*_type")):
        kind = files.optional_text(kind_file)
        degrees = files.optional_number(path / kind_file.name.replace("_type", "_temp"))
        if kind is not None and degrees is not None and degrees > 0:
            trips[kind] = min(degrees / 1000, trips.get(kind, float("inf")))
    return CoolingZone(name, trips)


def _policy(path: Path) -> FrequencyPolicy:
    highest = files.optional_number(path / "cpuinfo_max_freq")
    return FrequencyPolicy(
        name=path.name,
        governor=files.optional_text(path / "scaling_governor") or "",
        cores=files.optional_text(path / "related_cpus") or "",
        hardware_max_mhz=None if highest is None else highest / 1000,
    )


__all__ = ["Absent", "Board"]
