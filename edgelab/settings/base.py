"""What the lab may ask of the settings of any task."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from edgelab.settings.common import (
    DETECTOR_PRECISIONS,
    NotNegative,
    Order,
    Positive,
    Precision,
    Scenario,
    Text,
)

T = TypeVar("T")


class TaskSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task"
):
    """One task on one model and one dataset, each a catalogue name or a path."""

    model: Text
    dataset: Text
    threads: Positive = 2

    @property
    def task(self) -> str:
        """The task's name, as it stands in files."""
        return str(self.__struct_config__.tag)

    @property
    def passes(self) -> tuple[Precision, ...]:
        """The precisions that are measured, a pass each; none where nothing is measured."""
        return ()

    @property
    def formats(self) -> tuple[Precision, ...]:
        """The precisions that a list of runs names: those that are measured, or made."""
        return self.passes

    @property
    def cuts(self) -> tuple[float | None, ...]:
        """The score thresholds that each pass is counted at; (None,) where scores play no part."""
        return (None,)

    @property
    def items_per_image(self) -> int:
        """How many items each pass makes of an image."""
        return 1

    @property
    def overlaps(self) -> bool:
        """True where several images are under way at once: none has a latency of its own then."""
        return False

    @property
    def detail(self) -> str:
        """What else tells a run of this task from others of the same model and data, in short."""
        return ""


class MeasureSettings(TaskSettings, frozen=True, kw_only=True):
    """A task that measures a model, image by image, in one or more precisions.

    `images`: the image folder of a COCO .json. `classes`: those that are counted. `per_class`: each
    class is counted over up to so many images that hold it, drawn by `subset_seed`. None means: as
    the model's or the dataset's profile says.
    """

    images: Text | None = None
    split: Text | None = None
    classes: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    per_class: Positive | None = None
    subset_seed: NotNegative | None = None
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)] = (Precision.FP32,)
    scenario: Scenario = Scenario.SINGLE_STREAM
    warmup: NotNegative = 5
    repetitions: Positive = 1
    order: Order = Order.GIVEN
    limit: Positive | None = None

    def __post_init__(self) -> None:
        must_differ("precisions", self.precisions)
        must_differ("classes", tuple(name.casefold() for name in self.classes or ()))

    @property
    def passes(self) -> tuple[Precision, ...]:
        """A pass a precision."""
        return self.precisions

    @property
    def rounds(self) -> int:
        """How many times each precision has its turn."""
        return 2 if self.order is Order.ABBA else 1

    @property
    def items_per_image(self) -> int:
        """One an image, repetition and round."""
        return self.repetitions * self.rounds

    @property
    def overlaps(self) -> bool:
        """Offline issues all queries at once."""
        return self.scenario is Scenario.OFFLINE


def must_differ(name: str, values: tuple[T, ...]) -> None:
    """Raise ValueError where a value is given twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"{name} must differ from each other")


def must_suit_detectors(precisions: tuple[Precision, ...]) -> None:
    """Raise ValueError where one of them is none that a detector's file can have."""
    if others := set(precisions).difference(DETECTOR_PRECISIONS):
        known = ", ".join(DETECTOR_PRECISIONS)
        raise ValueError(f"{min(others)} is for vision-language models: a detector has {known}")
