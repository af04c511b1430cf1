"""The form of a study: its matrix, one line a key, to begin it and to keep it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgelab.problem import Problem
from edgelab.study import StudyProfile
from edgelab.study_editing import FIELDS, profile_from, texts_of
from screens.dialogs import quiet_input, words
from screens.face import Face

_SAVE_AS = "save as"


class TypedStudy(NamedTuple):
    """What the form gives back; with a `name` the matrix is kept as a profile."""

    profile: StudyProfile
    name: str


class StudyForm(ModalScreen[TypedStudy]):
    """Enter is accepted only where each run of the matrix would be possible."""

    CSS_PATH = "study.tcss"
    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave"),
        Binding("up", "go(-1)", "up"),
        Binding("down", "go(1)", "down"),
    ]

    def __init__(self, face: Face, profile: StudyProfile) -> None:
        super().__init__()
        self._face = face
        self._profile = profile
        self._inputs = {name: quiet_input(text) for name, text in texts_of(profile).items()}
        self._save_as = quiet_input()

    def compose(self) -> ComposeResult:
        """A line a key."""
        with Vertical(classes="dialog"):
            yield words(self._face, self._profile.title, "question")
            for name, field in self._inputs.items():
                yield self._line(name, field, FIELDS[name])
            yield self._line(_SAVE_AS, self._save_as, "a name: keep it as a profile")
            yield words(self._face, "", "problem")
            yield words(self._face, "enter  begin      esc  leave it      tab  next", "answers")

    def on_mount(self) -> None:
        """Begin at the first line."""
        next(iter(self._inputs.values())).focus()

    def action_go(self, step: int) -> None:
        """Another line."""
        if step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    @on(Input.Submitted)
    def _begin(self) -> None:
        try:
            typed = {name: field.value for name, field in self._inputs.items()}
            profile = profile_from(self._profile, typed)
        except Problem as problem:
            shown = Content(self._face.glyphs.text(str(problem)))
            self.query_one(".problem", Static).update(shown)
            return
        self.dismiss(TypedStudy(profile, self._save_as.value.strip()))

    def action_leave(self) -> None:
        """Begin nothing."""
        self.dismiss(None)

    def _line(self, name: str, field: Input, hint: str) -> Horizontal:
        return Horizontal(
            words(self._face, name, "name"), field, words(self._face, hint, "hint"), classes="field"
        )
