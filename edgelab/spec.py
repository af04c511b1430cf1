"""What a run is asked to do: the RunSpec, written once before anything starts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from edgelab.settings.ask import AskSettings
from edgelab.settings.base import TaskSettings
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Positive, Text
from edgelab.settings.convert import ConvertSettings
from edgelab.settings.convert_vlm import ConvertVlmSettings
from edgelab.settings.detect import DetectSettings
from edgelab.settings.finetune import FinetuneSettings
from edgelab.settings.train import TrainSettings

SPEC_VERSION = 1

Settings = (
    AskSettings
    | ClassifySettings
    | ConvertSettings
    | ConvertVlmSettings
    | DetectSettings
    | FinetuneSettings
    | TrainSettings
)
"""The settings of any task, told apart by their key `task`."""

TASKS: Mapping[str, type[TaskSettings]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Settings)
}
"""The settings of each task, by its name."""

RunId = Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]


def new_run_id() -> RunId:
    """An id that no other run has. (`secrets` would bring OpenSSL into the console.)"""
    return os.urandom(4).hex()


class CoolDown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Before each measuring step, wait until the hottest zone is back at `celsius`.

    None: at what it was when the run began. After `limit_s` the run goes on all the same.
    """

    limit_s: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    celsius: Annotated[float, Meta(ge=0, le=150)] | None = None


class Terms(NamedTuple):
    """What any run can be told besides its task: its time limit in seconds, and the board's state.

    `governor`: hold the clocks during the run.
    """

    time_limit_s: float | None = None
    cool_down: CoolDown | None = None
    governor: Literal["performance"] | None = None


NO_TERMS = Terms()


class RunSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run before it starts. `number` counts the runs of this lab; `created` is Unix time, s.

    What is not used is not written: an older edgelab, whose console may still be open, reads it.

    `study`: the id of the study that it is part of. `origin`: the board of a run that was imported.
    """

    version: Annotated[int, Meta(ge=SPEC_VERSION, le=SPEC_VERSION)]
    id: RunId
    number: Positive
    title: Text
    created: float
    settings: Settings
    time_limit_s: Annotated[float, Meta(gt=0)] | None = None
    cool_down: CoolDown | None = None
    governor: Literal["performance"] | None = None
    study: RunId | None = None
    origin: Text | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.created):
            raise ValueError("created must be a finite number")
