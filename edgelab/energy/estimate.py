"""The last resort: watts guessed from how busy the processor is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.energy.sources import Reading, SourceError, SourceFacts

Watts = Annotated[float, Meta(ge=0)]

_Ticks = dict[int, tuple[int, int]]  # core: busy, total


class PowerModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coefficients of a board: watts = idle + span x busy share of all cores.

    Where cores differ, `policies` holds the span of each cpufreq policy instead, by its folder's
    name (policy0, policy4). `accuracy`: relative standard uncertainty.
    """

    idle_watts: Watts
    span_watts: Watts = 0.0
    policies: dict[str, Watts] = {}
    accuracy: Annotated[float, Meta(gt=0)] = 0.3


class Estimate:
    """Watts from the CPU time that passed between two readings; memory and disk are not in it.

    Linear in utilisation after Fan, Weber and Barroso, "Power provisioning for a warehouse-sized
    computer", ISCA 2007.
    """

    def __init__(self, facts: SourceFacts, model: PowerModel, root: Path) -> None:
        self.facts = facts
        self._model = model
        self._stat = root / "proc/stat"
        self._policies = {
            name: _cores_of(root / "sys/devices/system/cpu/cpufreq" / name)
            for name in model.policies
        }
        self._ticks = self._read_ticks()

    def read(self) -> Reading:
        """Mean watts since the last reading."""
        before, self._ticks = self._ticks, self._read_ticks()
        busy = {
            core: (now[0] - before[core][0]) / (now[1] - before[core][1])
            for core, now in self._ticks.items()
            if core in before and now[1] > before[core][1]
        }
        if not busy:
            raise SourceError("no CPU time has passed since the last reading")
        model = self._model
        watts = model.idle_watts + model.span_watts * _mean(busy.values())
        for name, cores in self._policies.items():
            watts += model.policies[name] * _mean(busy[core] for core in cores if core in busy)
        return Reading(watts=watts)

    def close(self) -> None:
        """Nothing is held."""

    def _read_ticks(self) -> _Ticks:
        try:
            lines = self._stat.read_text().splitlines()
        except OSError as error:
            raise SourceError(f"/proc/stat: {(error.strerror or '').lower()}") from None
        ticks: _Ticks = {}
        for line in lines:
            name, *values = line.split()
            if name.startswith("cpu") and name[3:].isdigit():
                # Guest time is in user time already: the first eight columns make up the total.
                times = [int(value) for value in values[:8]]
                idle = times[3] + times[4]
                ticks[int(name[3:])] = (sum(times) - idle, sum(times))
        return ticks


def estimate(model: PowerModel, root: Path, name: str = "estimate") -> Estimate:
    """The utilisation model as a source."""
    facts = SourceFacts(
        name, "estimated", "board input", model.accuracy, detail="from CPU utilisation"
    )
    return Estimate(facts, model, root)


def _cores_of(policy: Path) -> tuple[int, ...]:
    try:
        return tuple(int(core) for core in (policy / "related_cpus").read_text().split())
    except (OSError, ValueError):
        raise SourceError(f"the power model names {policy.name}, which is not there") from None


def _mean(values: Iterable[float]) -> float:
    shares = list(values)
    return sum(shares) / len(shares) if shares else 0.0
