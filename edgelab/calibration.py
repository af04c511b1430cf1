"""What this board was measured to be capable of: one file a board in `$EDGELAB_HOME/calibrations`.

`python -m runners.calibrate` measures and writes it; `edgelab.roofline` makes floors from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.executed import ExecutedPrecision
from edgelab.home import Home
from edgelab.schema import read_json
from edgelab.settings.common import Positive, Text

CALIBRATION_VERSION = 1

AboveZero = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]

# What a figure depends on besides the board: where one of these differs, measure again.
CONDITIONS = ("governor", "frequency_max_khz", "onnxruntime", "kernel")

_UNFIT_FOR_A_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_ID = 100


class Resource(StrEnum):
    """What a board has so much of a second: arithmetic in a format, memory, disk."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    MEMORY = "memory"
    DISK = "disk"

    @property
    def unit(self) -> str:
        """Of a billion a second (a million for the disk)."""
        units = {Resource.MEMORY: "GB/s", Resource.DISK: "MB/s", Resource.INT8: "GOPS"}
        return units.get(self, "GFLOPS")


class Rate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one test attained with `threads` threads.

    `best` and `median`: operations (a multiply-accumulate is two) or bytes a second, over
    `repeats` repeats of `work` operations or bytes each. `spread`: interquartile range of the
    repeats' times over their median. `settled`: it fell below the limit before time was up.
    `executed`: proof of the number format that the runtime computed in. `how`: what else to know.
    """

    test: Text
    resource: Resource
    threads: Positive
    best: AboveZero
    median: AboveZero
    spread: NotNegative
    repeats: Positive
    work: Positive
    settled: bool
    executed: ExecutedPrecision | None = None
    how: str = ""

    @property
    def scaled(self) -> tuple[float, float]:
        """`best` and `median` in the resource's unit."""
        factor = 1e6 if self.resource is Resource.DISK else 1e9
        return self.best / factor, self.median / factor


class BoardState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Clocks and heat at one moment; empty: the board does not tell."""

    frequency_mhz: tuple[float, ...] = ()  # a policy
    temperatures: dict[str, float] = msgspec.field(default_factory=dict)  # degrees C by zone
    cooling: dict[str, int] = msgspec.field(default_factory=dict)  # what slows the board


class Calibration(msgspec.Struct, frozen=True):
    """All rates of one board and what they were measured under.

    `wall`: Unix time of the beginning, s. `threads`: the most that were used. `cache_bytes`: the
    last-level cache as the kernel describes it. `environment`: as `edgelab.environment.capture`.
    `left_out`: tests that could not be made here, and why.
    """

    version: Annotated[int, Meta(ge=1, le=CALIBRATION_VERSION)]
    board: Text
    wall: float
    duration_s: NotNegative
    threads: Positive
    rates: tuple[Rate, ...]
    environment: dict[str, str]
    before: BoardState
    after: BoardState
    cache_bytes: Positive | None = None
    left_out: dict[str, str] = msgspec.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def attained(self, resource: Resource, threads: int) -> float | None:
        """The best rate of a resource with that many threads, a second; None: not measured.

        Between the thread counts that were measured it grows with the threads, up to the next
        rate that was measured: rather too much than too little, for a bound.
        """
        best: dict[int, float] = {}
        for rate in self.rates:
            if rate.resource is resource:
                best[rate.threads] = max(rate.best, best.get(rate.threads, 0.0))
        if not best:
            return None
        below = [count for count in best if count <= threads] or [min(best)]
        # More threads can always do what fewer did: they may leave the others idle.
        reached = max(best[count] for count in below)
        above = [count for count in best if count > threads]
        if max(below) >= threads or not above:
            return reached
        return min(reached * threads / max(below), max(reached, best[min(above)]))

    def differences(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """What is not as it was, a sentence each: governor, frequency cap, runtime, kernel."""
        return tuple(
            f"{key} was {then}, is {now}"
            for key in CONDITIONS
            if (then := self.environment.get(key)) and (now := environment.get(key)) and now != then
        )


def board_id(environment: Mapping[str, str]) -> str:
    """A board's name as a file name: its own and its processor's, lower case, digits and dashes."""
    names = dict.fromkeys(environment.get(key, "") for key in ("board", "cpu"))
    fit = _UNFIT_FOR_A_NAME.sub("-", " ".join(names).lower())
    return fit[:_LONGEST_ID].strip("-") or "unknown"


def calibration_file(home: Home, environment: Mapping[str, str]) -> Path:
    """Where the calibration of the board with that environment lies."""
    return home.calibrations / f"{board_id(environment)}.json"


def read_calibration(home: Home, environment: Mapping[str, str]) -> Calibration | None:
    """The calibration of the board with that environment (a run's own or this machine's).

    None where there is none. Raises SchemaProblem where its file is damaged.
    """
    path = calibration_file(home, environment)
    return read_json(path, Calibration) if path.exists() else None


def write_calibration(home: Home, calibration: Calibration) -> Path:
    """Keep it durably, in place of an earlier one of the same board; raises OSError."""
    path = calibration_file(home, calibration.environment)
    replace_file(path, msgspec.json.format(msgspec.json.encode(calibration)))
    return path
