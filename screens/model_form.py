"""The form in which a checkpoint's folder, or a hub's model, gets a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from edgelab.home import Home
from edgelab.model_editing import FIELDS, NewModel, model_from
from screens.dialogs import quiet_input
from screens.face import Face
from screens.form import Form, Line


class ModelForm(Form[NewModel]):
    """A model that is to be asked."""

    enter: ClassVar[str] = "keep"

    def __init__(self, face: Face, home: Home) -> None:
        self._home = home
        super().__init__(face, "Give a vision-language model a name: then it stands in the Lab")

    def lines(self) -> Iterator[Line]:
        """A line a key of the profile."""
        for name, hint in FIELDS.items():
            yield Line(name, quiet_input(), hint)

    def taken(self) -> NewModel:
        """As it was typed; raises Problem naming what is wrong with it."""
        return model_from(self._home, self.typed)
