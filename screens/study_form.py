"""The form of a study: its matrix, one line a key, to begin it and to keep it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from edgelab.catalogue import Catalogue
from edgelab.study import StudyProfile
from edgelab.study_editing import FIELDS, profile_from, texts_of
from screens.dialogs import quiet_input
from screens.face import Face
from screens.form import Form, Line

_SAVE_AS = "save as"


class TypedStudy(NamedTuple):
    """What the form gives back; with a `name` the matrix is kept as a profile."""

    profile: StudyProfile
    name: str


class StudyForm(Form[TypedStudy]):
    """Enter is accepted only where each run of the matrix would be possible."""

    enter: ClassVar[str] = "begin"

    def __init__(self, face: Face, profile: StudyProfile, catalogue: Catalogue) -> None:
        self._profile = profile
        self._catalogue = catalogue
        super().__init__(face, profile.title)

    def lines(self) -> Iterator[Line]:
        """A line a key, and the name to keep it by."""
        for name, text in texts_of(self._profile).items():
            yield Line(name, quiet_input(text), FIELDS[name])
        yield Line(_SAVE_AS, quiet_input(), "a name: keep it as a profile")

    def taken(self) -> TypedStudy:
        """The matrix as it was typed; raises Problem where it is none."""
        typed = dict(self.typed)
        name = typed.pop(_SAVE_AS).strip()
        return TypedStudy(profile_from(self._profile, typed, self._catalogue), name)
