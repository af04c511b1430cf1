"""The settings of a run as rows that can be stepped through or typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, get_args

import msgspec

from edgelab.machine import usable_cores
from edgelab.presets import KINDS
from edgelab.problem import Problem
from edgelab.schema import convert
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import (
    DETECTOR_PRECISIONS,
    Language,
    Order,
    Precision,
    Scenario,
)
from edgelab.settings.detect import DetectSettings

S = TypeVar("S", bound=MeasureSettings)

Change = Callable[[MeasureSettings, int], MeasureSettings]


_IMAGES = (None, 10, 25, 50, 100, 200, 500, 1000, 5000)


@dataclass(frozen=True)
class Setting:
    """One row: its words, how a step changes it, how a typed value is read (None: not typed)."""

    title: str
    text: Callable[[MeasureSettings], str]
    step: Change
    read: Callable[[MeasureSettings, str], MeasureSettings] | None = None
    hint: str = ""


def settings_rows(
    cores: int | None = None, task: type[MeasureSettings] = DetectSettings
) -> tuple[Setting, ...]:
    """All rows of a task, for a machine with so many cores."""
    most = cores or usable_cores()
    if task is AskSettings:
        return _ask_rows(most)
    thresholds = Setting("thresholds", _thresholds, _same, _read_thresholds, "enter: type them")
    return (
        *(_precision(precision) for precision in DETECTOR_PRECISIONS),
        *((thresholds,) if task is DetectSettings else ()),
        _number("threads", "threads", range(1, most + 1), f"1 to {most}"),
        _choice("scenario", "scenario", Scenario, "one image after the other, or all at once"),
        _number("limit", "images", _IMAGES, "all, or a count"),
        _number("repetitions", "repetitions", (1, 2, 3, 5, 10), "of all images"),
        _choice("order", "order", Order, "of the precisions"),
        _number("warmup", "warm-up", (0, 1, 2, 5, 10, 20, 50), "images before measuring"),
        _number(
            "calibration_images", "calibration", (10, 25, 50, 100, 200, 300), "images for int8"
        ),
    )


def _ask_rows(most: int) -> tuple[Setting, ...]:
    return (
        *(_precision(precision, tuple(Precision)) for precision in Precision),
        Setting("ask for", _kind, _step_kind, hint="count, classify, describe, question"),
        _typed("prompt", "prompt", "enter: its name in the profile"),
        _values("language", "language", get_args(Language), "of question and answer"),
        _number("threads", "threads", range(1, most + 1), f"1 to {most}"),
        _number("limit", "images", _IMAGES, "all, or a count"),
        _number("max_new_tokens", "max tokens", (4, 8, 16, 32, 64, 128, 256), "of an answer"),
        _number(
            "max_pixels", "max pixels", (None, 784, 50176, 200704, 401408, 802816),
            "of an image, for Qwen2-VL and SmolVLM",
        ),
        _values("tiling", "tiling", (False, True), "SmolVLM sees tiles, too"),
        _values("share_encoding", "share image", (True, False), "one encoding for all questions"),
        _number("repetitions", "repetitions", (1, 2, 3, 5, 10), "of all questions"),
        _choice("order", "order", Order, "of the precisions"),
        _number("warmup", "warm-up", (0, 1, 2, 5, 10), "questions before measuring"),
    )  # fmt: skip


def changed(settings: S, **values: Any) -> S:
    """The settings with other values, validated; raises Problem naming the key."""
    plain = msgspec.to_builtins(settings)
    return convert({**plain, **values}, type(settings), "settings")


def _kind(settings: MeasureSettings) -> str:
    prompts = getattr(settings, "prompts", "")
    return next((name for name, kind in KINDS.items() if kind.prompts == prompts), prompts)


def _step_kind(settings: MeasureSettings, direction: int) -> MeasureSettings:
    names = list(KINDS)
    at = names.index(_kind(settings)) if _kind(settings) in names else 0
    kind = KINDS[names[(at + direction) % len(names)]]
    return changed(settings, **kind._asdict())


def _typed(name: str, title: str, hint: str) -> Setting:
    def read(settings: MeasureSettings, typed: str) -> MeasureSettings:
        return changed(settings, **{name: typed.strip()})

    return Setting(title, lambda s: str(getattr(s, name)), _same, read, hint)


def _values(name: str, title: str, values: Sequence[str | bool], hint: str) -> Setting:
    def text(settings: MeasureSettings) -> str:
        value = getattr(settings, name)
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)

    def step(settings: MeasureSettings, direction: int) -> MeasureSettings:
        at = values.index(getattr(settings, name))
        return changed(settings, **{name: values[(at + direction) % len(values)]})

    return Setting(title, text, step, hint=hint)


def _precision(precision: Precision, known: tuple[Precision, ...] = DETECTOR_PRECISIONS) -> Setting:
    def text(settings: MeasureSettings) -> str:
        return "[x]" if precision in settings.precisions else "[ ]"

    def toggle(settings: MeasureSettings, _: int) -> MeasureSettings:
        chosen = set(settings.precisions) ^ {precision}
        # A run needs one; the last one stays.
        return (
            changed(settings, precisions=[p for p in known if p in chosen]) if chosen else settings
        )

    return Setting(precision.value, text, toggle, hint="space: on or off")


def _choice(name: str, title: str, kind: type[StrEnum], hint: str) -> Setting:
    values = [member.value for member in kind]

    def step(settings: MeasureSettings, direction: int) -> MeasureSettings:
        at = values.index(getattr(settings, name).value)
        return changed(settings, **{name: values[(at + direction) % len(values)]})

    return Setting(title, lambda s: str(getattr(s, name).value), step, hint=hint)


def _number(name: str, title: str, choices: Sequence[int | None], hint: str) -> Setting:
    def text(settings: MeasureSettings) -> str:
        value = getattr(settings, name)
        return "all" if value is None else str(value)

    def step(settings: MeasureSettings, direction: int) -> MeasureSettings:
        value = getattr(settings, name)
        further = [c for c in choices if _beyond(c, value, direction)]
        if not further:
            return settings
        return changed(settings, **{name: further[0] if direction > 0 else further[-1]})

    def read(settings: MeasureSettings, typed: str) -> MeasureSettings:
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


def _thresholds(settings: MeasureSettings) -> str:
    return " ".join(f"{threshold:g}" for threshold in settings.cuts if threshold is not None)


def _read_thresholds(settings: MeasureSettings, typed: str) -> MeasureSettings:
    words = typed.replace(",", " ").split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise Problem(f"thresholds = {typed!r}: expected numbers such as 0.3 0.5 0.7") from None
    return changed(settings, thresholds=values)


def _same(settings: MeasureSettings, _: int) -> MeasureSettings:
    return settings
