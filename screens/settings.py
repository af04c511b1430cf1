"""The settings of a run as rows that can be stepped through or typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from edgelab.machine import usable_cores
from edgelab.problem import Problem
from edgelab.schema import convert
from edgelab.settings.common import DETECTOR_PRECISIONS, Order, Precision, Scenario
from edgelab.settings.detect import DetectSettings

Change = Callable[[DetectSettings, int], DetectSettings]


@dataclass(frozen=True)
class Setting:
    """One row: its words, how a step changes it, how a typed value is read (None: not typed)."""

    title: str
    text: Callable[[DetectSettings], str]
    step: Change
    read: Callable[[DetectSettings, str], DetectSettings] | None = None
    hint: str = ""


def settings_rows(cores: int | None = None) -> tuple[Setting, ...]:
    """All rows, for a machine with so many cores."""
    most = cores or usable_cores()
    return (
        *(_precision(precision) for precision in DETECTOR_PRECISIONS),
        Setting("thresholds", _thresholds, _same, _read_thresholds, "enter: type them"),
        _number("threads", "threads", range(1, most + 1), f"1 to {most}"),
        _choice("scenario", "scenario", Scenario, "one image after the other, or all at once"),
        _number(
            "limit", "images", (None, 10, 25, 50, 100, 200, 500, 1000, 5000), "all, or a count"
        ),
        _number("repetitions", "repetitions", (1, 2, 3, 5, 10), "of all images"),
        _choice("order", "order", Order, "of the precisions"),
        _number("warmup", "warm-up", (0, 1, 2, 5, 10, 20, 50), "images before measuring"),
        _number(
            "calibration_images", "calibration", (10, 25, 50, 100, 200, 300), "images for int8"
        ),
    )


def changed(settings: DetectSettings, **values: Any) -> DetectSettings:
    """The settings with other values, validated; raises Problem naming the key."""
    plain = msgspec.to_builtins(settings)
    return convert({**plain, **values}, DetectSettings, "settings")


def _precision(precision: Precision) -> Setting:
    def text(settings: DetectSettings) -> str:
        return "[x]" if precision in settings.precisions else "[ ]"

    def toggle(settings: DetectSettings, _: int) -> DetectSettings:
        chosen = set(settings.precisions) ^ {precision}
        # A run needs one; the last one stays.
        return (
            changed(settings, precisions=[p for p in DETECTOR_PRECISIONS if p in chosen])
            if chosen
            else settings
        )

    return Setting(precision.value, text, toggle, hint="space: on or off")


def _choice(name: str, title: str, kind: type[StrEnum], hint: str) -> Setting:
    values = [member.value for member in kind]

    def step(settings: DetectSettings, direction: int) -> DetectSettings:
        at = values.index(getattr(settings, name).value)
        return changed(settings, **{name: values[(at + direction) % len(values)]})

    return Setting(title, lambda s: str(getattr(s, name).value), step, hint=hint)


def _number(name: str, title: str, choices: Sequence[int | None], hint: str) -> Setting:
    def text(settings: DetectSettings) -> str:
        value = getattr(settings, name)
        return "all" if value is None else str(value)

    def step(settings: DetectSettings, direction: int) -> DetectSettings:
        value = getattr(settings, name)
        further = [c for c in choices if _beyond(c, value, direction)]
        if not further:
            return settings
        return changed(settings, **{name: further[0] if direction > 0 else further[-1]})

    def read(settings: DetectSettings, typed: str) -> DetectSettings:
        word = typed.strip()
        if word == "all" and None in choices:
            return changed(settings, **{name: None})
        if not word.isdecimal():
            raise Problem(f"{title} = {word!r}: expected a whole number")
        return changed(settings, **{name: int(word)})

    return Setting(title, text, step, read, hint)


def _beyond(choice: int | None, value: int | None, direction: int) -> bool:
    """All is the largest count, but stands first in the list: a step down from 10 leads to it."""
    low = (0 if choice is None else choice), (0 if value is None else value)
    return low[0] > low[1] if direction > 0 else low[0] < low[1]


def _thresholds(settings: DetectSettings) -> str:
    return " ".join(f"{threshold:g}" for threshold in settings.thresholds)


def _read_thresholds(settings: DetectSettings, typed: str) -> DetectSettings:
    words = typed.replace(",", " ").split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise Problem(f"thresholds = {typed!r}: expected numbers such as 0.3 0.5 0.7") from None
    return changed(settings, thresholds=values)


def _same(settings: DetectSettings, _: int) -> DetectSettings:
    return settings
