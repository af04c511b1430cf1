"""The questions that the console asks, and the one-line editor of a setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from edgelab.problem import Problem
from edgelab.record import RunRecord
from screens.face import Face


class Leaving(Enum):
    """What becomes of the run that is on when the console is left."""

    DETACH = "detach"
    STOP = "stop"
    STAY = "stay"


class Ask(ModalScreen[bool]):
    """Yes or no."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar = [
        Binding("y,enter", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, face: Face, question: str, consequence: str = "") -> None:
        super().__init__()
        self._face = face
        self._question = question
        self._consequence = consequence

    def compose(self) -> ComposeResult:
        """A small box."""
        with Vertical(classes="dialog"):
            yield words(self._face, self._question, "question")
            yield words(self._face, self._consequence, "consequence")
            yield words(self._face, "y  yes      n  no", "answers")

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)


class Leave(ModalScreen[Leaving]):
    """A run is on: detach, stop or stay."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar = [
        Binding("d,q,enter", "answer('detach')", "detach"),
        Binding("s", "answer('stop')", "stop"),
        Binding("escape,n", "answer('stay')", "stay"),
    ]

    def __init__(self, face: Face, run: RunRecord) -> None:
        super().__init__()
        self._face = face
        self._run = run

    def compose(self) -> ComposeResult:
        """A small box."""
        with Vertical(classes="dialog"):
            yield words(self._face, f"Run #{self._run.spec.number} is on.", "question")
            yield words(
                self._face,
                "d, enter  detach: the run goes on and is found again\n"
                "s         stop the run, then leave; its figures are kept\n"
                "esc       stay",
                "answers",
            )

    def action_answer(self, answer: str) -> None:
        """Close with the answer."""
        self.dismiss(Leaving(answer))


class Edit(ModalScreen[str]):
    """A value to type; Enter is accepted only where `check` raises no Problem."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar = [Binding("escape", "leave", "leave")]

    def __init__(
        self, face: Face, title: str, value: str, hint: str, check: Callable[[str], object]
    ) -> None:
        super().__init__()
        self._face = face
        self._title = title
        self._value = value
        self._hint = hint
        self._check = check

    def compose(self) -> ComposeResult:
        """A small box with an input."""
        with Vertical(classes="dialog"):
            yield words(self._face, f"{self._title}: {self._hint}", "question")
            yield quiet_input(self._value)
            yield words(self._face, "enter  take it      esc  leave it", "answers")

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        try:
            self._check(event.value)
        except Problem as problem:
            self.query_one(".question", Static).update(
                Content(self._face.glyphs.text(str(problem)))
            )
            return
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """Change nothing."""
        self.dismiss(None)


def words(face: Face, text: str, classes: str) -> Static:
    """Text that is never parsed for markup."""
    return Static(Content(face.glyphs.text(text)), classes=classes, markup=False)


def quiet_input(
    value: str = "",
    placeholder: str = "",
    id: str | None = None,  # noqa: A002
    known: Sequence[str] = (),
) -> Input:
    """A one-line input whose cursor does not blink: a blink is bytes on the line.

    Of what is `known` the first that begins as typed is shown; the right arrow takes it.
    """
    suggester = SuggestFromList(known, case_sensitive=False) if known else None
    field = Input(value, placeholder=placeholder, id=id, compact=True, suggester=suggester)
    field.cursor_blink = False
    return field
