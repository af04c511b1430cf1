"""The form of a task that is no measuring: its settings, one line a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Generic, TypeVar

from edgelab.settings.base import TaskSettings
from edgelab.settings.train import TrainSettings
from edgelab.task_editing import path_or_name, settings_from, texts_of
from screens.dialogs import quiet_input
from screens.face import Face
from screens.form import Choice, Form, Line

S = TypeVar("S", bound=TaskSettings)

_YES_NO = ("yes", "no")


class TaskForm(Form[S], Generic[S]):
    """Enter is accepted only where the settings are possible. `hints`: the keys that can be typed,
    each with a hint; `datasets`: names that are no paths."""

    enter: ClassVar[str] = "begin"

    def __init__(
        self,
        face: Face,
        title: str,
        settings: S,
        hints: Mapping[str, str],
        datasets: Iterable[str],
    ) -> None:
        self._settings = settings
        self._hints = hints
        self._datasets = frozenset(datasets)
        super().__init__(face, title)

    def lines(self) -> Iterator[Line]:
        """A line a key; what is on or off is chosen."""
        for key, text in texts_of(self._settings, self._hints).items():
            field = Choice(self.face, _YES_NO, text) if text in _YES_NO else quiet_input(text)
            yield Line(key, field, self._hints[key])

    def taken(self) -> S:
        """The settings as they were typed; raises Problem naming the key."""
        typed = dict(self.typed)
        typed["dataset"] = path_or_name(typed["dataset"].strip(), self._datasets)
        return settings_from(self._settings, typed)


TRAINING: dict[str, str] = {
    "model": "or efficientnetv2-s, hybrid",
    "dataset": "name, digits, folder, .csv",
    "image_size": "px a side",
    "patch_size": "px a side, of transformers",
    "epochs": "at most",
    "patience": "end after N without a best",
    "batch": "images at once",
    "learning_rate": "at the start",
    "pretrained": "fetch weights to begin with",
    "limit": "a split's images; empty: all",
    "threads": "of the processor",
    "seed": "of weights, order, changes",
}
"""What can be typed of a training."""


def training_form(
    face: Face, settings: TrainSettings, datasets: Iterable[str]
) -> Form[TrainSettings]:
    """The form of a training."""
    return TaskForm(face, "Train a classifier", settings, TRAINING, datasets)
