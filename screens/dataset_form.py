"""The forms of the Datasets screen: data that get a name, and what is to be looked through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from edgelab.catalogue import Catalogue
from edgelab.dataset_check import look_through
from edgelab.dataset_editing import FIELDS, NewDataset, dataset_from
from edgelab.dataset_report import DatasetReport
from edgelab.home import Home
from edgelab.naming import dataset_named, model_named
from edgelab.program import Tell
from screens.dialogs import quiet_input
from screens.face import Face
from screens.form import Form, Line

LOOKED_AT: dict[str, str] = {
    "dataset": "name, folder, .json ... .csv",
    "images": "folder, of .json or questions",
    "split": "empty: its usual one",
    "model": "whose classes are compared",
}


class Look(NamedTuple):
    """What is to be looked through."""

    dataset: str
    images: str | None
    split: str | None
    model: str | None

    def look_through(self, home: Home, tell: Tell) -> DatasetReport:
        """What is wrong with it; raises Problem."""
        return look_through(
            home, self.dataset, tell, images=self.images, split=self.split, model=self.model
        )


class LookForm(Form[Look]):
    """A dataset by name or path, and the model that is to run on it."""

    enter: ClassVar[str] = "look"

    def __init__(self, face: Face, catalogue: Catalogue, chosen: str) -> None:
        self._catalogue = catalogue
        self._chosen = chosen
        super().__init__(face, "Look through a dataset: files, ids, boxes, classes")

    def lines(self) -> Iterator[Line]:
        """A line a choice."""
        for name, hint in LOOKED_AT.items():
            yield Line(name, quiet_input(self._chosen if name == "dataset" else ""), hint)

    def taken(self) -> Look:
        """Names and absolute paths; raises Problem where one is neither."""
        typed = {name: text.strip() for name, text in self.typed.items()}
        images, model = typed["images"], typed["model"]
        return Look(
            dataset_named(typed["dataset"], self._catalogue),
            str(Path(images).expanduser().absolute()) if images else None,
            typed["split"] or None,
            model_named(model, self._catalogue) if model else None,
        )


class AddForm(Form[NewDataset]):
    """Data on disk that are to get a name."""

    enter: ClassVar[str] = "look and keep"

    def __init__(self, face: Face, home: Home) -> None:
        self._home = home
        super().__init__(face, "Give data on disk a name of its own")

    def lines(self) -> Iterator[Line]:
        """A line a key of the profile."""
        for name, hint in FIELDS.items():
            yield Line(name, quiet_input(), hint)

    def taken(self) -> NewDataset:
        """As it was typed; raises Problem naming what is wrong with it."""
        return dataset_from(self._home, self.typed)
