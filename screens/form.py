"""Forms: one line a value, and what is typed is taken only where it can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Generic, NamedTuple, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgelab.problem import Problem
from screens.dialogs import words
from screens.face import Face

T = TypeVar("T")


class Choice(Static, can_focus=True):
    """One of a few values; left and right step through them. `empty` stands for "" on screen."""

    BINDINGS: ClassVar = [
        Binding("left", "step(-1)", "before", show=False),
        Binding("right,space", "step(1)", "next", show=False),
    ]

    def __init__(self, face: Face, choices: tuple[str, ...], value: str, empty: str = "") -> None:
        self._face = face
        self._choices = choices
        self._empty = empty
        self.value = value
        super().__init__(self._shown(), markup=False)

    def action_step(self, step: int) -> None:
        """The next value, round and round."""
        at = self._choices.index(self.value)
        self.value = self._choices[(at + step) % len(self._choices)]
        self.update(self._shown())

    def _shown(self) -> Content:
        return Content(self._face.glyphs.text(f"< {self.value or self._empty} >"))


class Line(NamedTuple):
    """A line of a form: a value's name, what it is typed in, and a hint."""

    name: str
    field: Input | Choice
    hint: str = ""


class Form(ModalScreen[T], Generic[T]):
    """A title, lines, and the keys; Enter closes it with `taken()`, unless that raises Problem."""

    CSS_PATH = "form.tcss"
    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave"),
        Binding("enter", "take", "take"),
        # Over a slow line keys come in bursts: what is typed after one of these is the next line's.
        Binding("up,shift+tab", "go(-1)", "up", priority=True),
        Binding("down,tab", "go(1)", "down", priority=True),
    ]

    enter: ClassVar[str] = "take it"
    """What Enter does, as the line of keys says it."""

    def __init__(self, face: Face, title: str) -> None:
        super().__init__()
        self.face = face
        self._title = title
        self._lines = tuple(self.lines())

    def lines(self) -> Iterator[Line]:
        """Each line, from top to bottom. It is asked once, before anything is shown."""
        raise NotImplementedError

    def taken(self) -> T:
        """What the form gives back; raises Problem where that cannot be, and the form stays."""
        raise NotImplementedError

    @property
    def typed(self) -> Mapping[str, str]:
        """What stands in each line, by its name."""
        return {line.name: line.field.value for line in self._lines}

    def field(self, name: str) -> Input | Choice:
        """What the value of that name is typed in."""
        return next(line.field for line in self._lines if line.name == name)

    def compose(self) -> ComposeResult:
        """A line a value."""
        with Vertical(classes="dialog"):
            yield words(self.face, self._title, "question")
            with VerticalScroll(classes="fields", can_focus=False):
                for line in self._lines:
                    yield Horizontal(
                        words(self.face, line.name, "name"),
                        line.field,
                        words(self.face, line.hint, "hint"),
                        classes="field",
                    )
            yield words(self.face, "", "problem")
            yield words(self.face, self._keys(), "answers")

    def on_mount(self) -> None:
        """Begin at the first line."""
        self._lines[0].field.focus()

    def action_go(self, step: int) -> None:
        """Another line."""
        if step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Close with what was typed, where that can be."""
        try:
            taken = self.taken()
        except Problem as problem:
            shown = Content(self.face.glyphs.text(str(problem)))
            self.query_one(".problem", Static).update(shown)
            return
        self.dismiss(taken)

    def action_leave(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def _keys(self) -> str:
        keys = f"enter  {self.enter}      esc  leave it      tab  next"
        has_choice = any(isinstance(line.field, Choice) for line in self._lines)
        return f"{keys}      left, right  choose" if has_choice else keys
