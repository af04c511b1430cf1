"""Smart plugs on the local network: Shelly of both generations, and whatever runs Tasmota.

A plug knows watts and a running total. Both are kept: which of them says more about a window is
for the integration to find out. Formats: the makers' API pages ("Shelly API Reference", Gen1 and
Gen2; "Tasmota: Commands", Status 10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from edgelab.energy.http import HttpDevice
from edgelab.energy.sources import Reading, RunningTotal, SourceError, SourceFacts

_JOULES_PER_WH = 3600.0
_JOULES_PER_WATT_MINUTE = 60.0

Parse = Callable[[Any], Reading]


class Plug:
    """A device that answers one URL; its total is counted from when it was opened."""

    def __init__(self, facts: SourceFacts, device: HttpDevice, target: str, parse: Parse) -> None:
        self.facts = facts
        self._device = device
        self._target = target
        self._parse = parse
        self._total = RunningTotal()

    def read(self) -> Reading:
        """Watts now and joules since it was opened."""
        shown = self._parse(self._device.get_json(self._target))
        return Reading(shown.watts, self._total.at(shown.joules))

    def close(self) -> None:
        """Each reading has a connection of its own."""


def shelly_gen2(
    facts: SourceFacts, device: HttpDevice, channel: int, component: Literal["Switch", "PM1"]
) -> Plug:
    """Plus, Pro, Gen3, Gen4: `apower` in W, `aenergy.total` in Wh."""

    def parse(answer: Any) -> Reading:
        return Reading(
            watts=_required(answer, "apower"),
            joules=_scaled(_optional(answer, "aenergy", "total"), _JOULES_PER_WH),
        )

    return Plug(facts, device, f"/rpc/{component}.GetStatus?id={channel}", parse)


def shelly_gen1(facts: SourceFacts, device: HttpDevice, channel: int) -> Plug:
    """The first generation: `power` in W, `total` in watt-minutes, and whether they are valid."""

    def parse(answer: Any) -> Reading:
        if isinstance(answer, dict) and answer.get("is_valid") is False:
            raise SourceError("the plug says that its meter is not valid")
        return Reading(
            watts=_required(answer, "power"),
            joules=_scaled(_optional(answer, "total"), _JOULES_PER_WATT_MINUTE),
        )

    return Plug(facts, device, f"/meter/{channel}", parse)


def tasmota(facts: SourceFacts, device: HttpDevice, channel: int) -> Plug:
    """`StatusSNS.ENERGY`: Power in W, Total in kWh; lists where there are several channels.

    Tasmota takes its login in the address only.
    """

    def parse(answer: Any) -> Reading:
        if isinstance(answer, dict) and "WARNING" in answer:
            raise SourceError("it asks for user and password")
        path = ("StatusSNS", "ENERGY")
        return Reading(
            watts=_required(answer, *path, "Power", channel=channel),
            joules=_scaled(
                _optional(answer, *path, "Total", channel=channel), 1000 * _JOULES_PER_WH
            ),
        )

    device = replace(device, login_in_address=True)
    return Plug(facts, device, "/cm?cmnd=Status%2010", parse)


def _required(answer: Any, *path: str, channel: int = 0) -> float:
    value = _optional(answer, *path, channel=channel)
    if value is None:
        raise SourceError(f"no number {'.'.join(path)} in the answer")
    return value


def _optional(answer: Any, *path: str, channel: int = 0) -> float | None:
    for key in path:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if isinstance(answer, list):
        answer = answer[channel] if channel < len(answer) else None
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return None
    return float(answer)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
