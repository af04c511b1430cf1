"""A study: one matrix of runs, in a profile, expanded, and kept with the runs that came of it.

Precisions and thresholds are part of a run, which measures each precision in a process of its own
and counts at all thresholds in one pass. Every other setting can be an axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgelab import words
from edgelab.problem import Problem
from edgelab.schema import convert
from edgelab.settings.common import Text
from edgelab.spec import TASKS, RunId, Settings

STUDY_VERSION = 1
MOST_RUNS = 1000

Axis = tuple[str | int | float | bool | tuple[str, ...], ...]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the runs that have all values of `when` have instead: their `settings`."""

    when: dict[str, Any]
    settings: dict[str, Any]

    def applies(self, raw: Mapping[str, Any]) -> bool:
        """Whether a run, by keys with dots, is one of these."""
        return all(_listed(raw.get(key)) == _listed(value) for key, value in self.when.items())

    def without(self, keys: Iterable[str]) -> Case:
        """The same, but it leaves these settings alone."""
        kept = {key: value for key, value in self.settings.items() if key not in set(keys)}
        return msgspec.structs.replace(self, settings=kept)


class StudyProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A matrix as its author wrote it.

    `settings`: what all runs share, keys as in a run's spec; `axes`: a list of values for each key
    that varies, the first varying slowest; a key within a table has a dot, as `lora.parts`.
    `cases`: what runs with some values have instead. `stand_ins`: for a dataset that the models do
    not know, which model stands for which. `reference`: the published table that answers to it.
    """

    schema_version: Annotated[int, Meta(ge=1, le=STUDY_VERSION)]
    title: Text
    settings: dict[str, Any]
    axes: dict[str, Axis]
    cases: tuple[Case, ...] = ()
    stand_ins: dict[str, dict[str, str]] = {}
    reference: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for key, values in self.axes.items():
            if not values:
                raise ValueError(f"axes.{key} is empty: an axis needs a value")

    @property
    def task(self) -> str:
        """Of all its runs."""
        return str(self.settings.get("task"))

    def takes(self, name: str) -> bool:
        """Whether runs of its task have such a setting."""
        kind = TASKS.get(self.task)
        return kind is not None and name in kind.__struct_fields__

    def changed(self, **values: Any) -> StudyProfile:
        """The same with other values, whatever a case says of them: a list becomes an axis where
        the key may be one."""
        settings, axes = dict(self.settings), dict(self.axes)
        for key, value in values.items():
            if isinstance(value, (list, tuple)) and key not in WITHIN_A_RUN:
                settings.pop(key, None)
                axes[key] = tuple(value)
            else:
                axes.pop(key, None)
                settings[key] = value
        cases = tuple(case.without(values) for case in self.cases)
        return msgspec.structs.replace(self, settings=settings, axes=axes, cases=cases)

    def with_setting(self, key: str, value: Any) -> StudyProfile:
        """The same with one value for all runs; a key within a table has a dot."""
        axes = {name: values for name, values in self.axes.items() if name != key}
        cases = tuple(case.without([key]) for case in self.cases)
        settings = _flat(self.settings) | {key: value}
        return msgspec.structs.replace(self, settings=settings, axes=axes, cases=cases)


WITHIN_A_RUN = frozenset({"classes", "precisions", "thresholds"})
"""Lists that are no axes: a run takes them whole."""


class StudyRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of a study; its id is fixed before it exists, so that it is made once only."""

    run: RunId
    settings: Settings

    @property
    def title(self) -> str:
        """Model and data in short, and what else tells the run from its neighbours."""
        model, dataset = (
            words.short_name(each) for each in (self.settings.model, self.settings.dataset)
        )
        detail = f", {self.settings.detail}" if self.settings.detail else ""
        return f"{model} on {dataset}{detail}"


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A study that was begun: `name` is its profile's, `created` Unix time, s.

    `origin`: the board of one that was imported.
    """

    version: Annotated[int, Meta(ge=STUDY_VERSION, le=STUDY_VERSION)]
    id: RunId
    name: Text
    title: Text
    created: float
    runs: Annotated[tuple[StudyRun, ...], Meta(min_length=1, max_length=MOST_RUNS)]
    reference: str | None = None
    origin: Text | None = None

    @property
    def plan(self) -> tuple[Settings, ...]:
        """What is to be run, whatever it is called."""
        return tuple(each.settings for each in self.runs)

    @property
    def passes(self) -> int:
        """Measuring passes of all runs."""
        return sum(max(1, len(each.settings.passes)) for each in self.runs)

    @property
    def cells(self) -> int:
        """Configurations: a pass counted at each of its thresholds."""
        return sum(max(1, len(s.passes)) * len(s.cuts) for s in self.plan)


def expand(profile: StudyProfile, source: str) -> tuple[Settings, ...]:
    """The runs of the matrix, in order, each once.

    Raises Problem naming `source`, key and value where a run would not be possible.
    """
    for key in profile.axes:
        if key in WITHIN_A_RUN or key in _flat(profile.settings):
            where = "settings" if key in profile.settings else f"settings.{key}"
            raise Problem(
                f"{source}: axes.{key}: a run takes it whole, write it under {where}"
                if key in WITHIN_A_RUN
                else f"{source}: axes.{key}: is under settings too, keep one of them"
            )
    shared = _flat(profile.settings)
    combinations = product(*profile.axes.values())
    raw = [shared | dict(zip(profile.axes, each, strict=True)) for each in combinations]
    if len(raw) > MOST_RUNS:
        raise Problem(f"{source}: axes: {len(raw)} runs, at most {MOST_RUNS} are a study")
    runs = [_settings(_with_cases(each, profile), source) for each in raw]
    return tuple(dict.fromkeys(runs))


def _with_cases(raw: dict[str, Any], profile: StudyProfile) -> dict[str, Any]:
    for case in profile.cases:
        if case.applies(raw):
            raw = raw | _flat(case.settings)
    return _nested(_with_stand_in(raw, profile.stand_ins))


def _with_stand_in(
    raw: dict[str, Any], stand_ins: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    known = stand_ins.get(str(raw.get("dataset")), {})
    return raw | {"model": known.get(str(raw.get("model")), raw.get("model"))}


def _settings(raw: dict[str, Any], source: str) -> Settings:
    settings: Settings = convert(raw, Settings, source)  # type: ignore[arg-type]
    return settings


def _flat(tables: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Tables in tables as one, their keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in tables.items():
        name = f"{before}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse."""
    tables: dict[str, Any] = {}
    for key, value in flat.items():
        *path, name = key.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[name] = value
    return tables


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
