"""The dialogs of the Power screen: which kind of source, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgelab.energy.config import AnySourceConfig
from edgelab.energy.editing import KINDS, TextField, has_password, source_from, text_fields
from edgelab.energy.secret import Secret
from edgelab.problem import Problem
from screens.dialogs import quiet_input, words
from screens.face import Face
from screens.widgets.table import Column, Table

WHAT: dict[str, str] = {
    "shelly-gen2": "Shelly plug: Plus, Pro, Gen3, Gen4",
    "shelly-gen1": "Shelly plug of the first generation",
    "tasmota": "plug that runs Tasmota",
    "command": "program of yours that prints watts",
    "hwmon": "power chip such as an INA226: say more, or pick one",
    "rapl": "the processor's energy counters",
    "battery": "the board's battery, while it discharges",
    "pmic": "the Raspberry Pi 5's power management chip",
    "estimate": "last resort: watts from CPU utilisation",
}
"""The kinds, in the order in which a person is likely to want them."""

HINTS: dict[str, str] = {
    "name": "what you call it",
    "host": "name or address, no http://",
    "port": "80, as a rule",
    "channel": "which of several",
    "user": "its login",
    "component": "PM1: a Mini PM",
    "command": "program and arguments",
    "method": "estimated: if it guesses",
    "chip": "its name in hwmon",
    "scope": "what the watts cover",
    "accuracy": "0.01 is 1 %",
    "period_s": "ask every ... seconds",
    "timeout_s": "wait so many seconds",
    "model.idle_watts": "W with nothing to do",
    "model.span_watts": "W more with all cores busy",
    "model.policies": "span a policy: policy0=1.2",
    "model.accuracy": "0.3 is 30 %",
}
_BY_ITSELF = "as its kind says"

KIND_COLUMNS: tuple[Column[str], ...] = (
    Column("kind", lambda kind: kind, tone=lambda _: "accent"),
    Column("what", lambda kind: WHAT[kind]),
)


class Typed(NamedTuple):
    """What a form gives back."""

    source: AnySourceConfig
    password: Secret | None


class ChooseKind(ModalScreen[str]):
    """Which kind of source to add."""

    CSS_PATH = "power.tcss"
    BINDINGS: ClassVar = [Binding("escape,q", "leave", "leave")]

    def __init__(self, face: Face) -> None:
        super().__init__()
        self._face = face

    def compose(self) -> ComposeResult:
        """A list."""
        with Vertical(classes="dialog"):
            yield words(self._face, "Add a power source", "question")
            yield Table(KIND_COLUMNS, lambda kind: kind, self._face, id="kinds", headed=False)
            yield words(self._face, "enter  take it      esc  leave it", "answers")

    def on_mount(self) -> None:
        """Fill it."""
        table: Table[str] = self.query_one(Table)
        table.show([kind for kind in WHAT if kind in KINDS])
        table.focus()

    @on(Table.Chosen)
    def _take(self, event: Table.Chosen) -> None:
        self.dismiss(event.table.row)

    def action_leave(self) -> None:
        """Add nothing."""
        self.dismiss(None)


class SourceForm(ModalScreen[Typed]):
    """The keys of one source; Enter is accepted only where `check` raises no Problem.

    `texts`: what stands in the file now, empty for a new source. A password is never shown: left
    empty, the one that is `kept` stays.
    """

    CSS_PATH = "power.tcss"
    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave"),
        Binding("enter", "save", "save"),
        Binding("up", "go(-1)", "up"),
        Binding("down", "go(1)", "down"),
    ]

    def __init__(
        self,
        face: Face,
        kind: str,
        check: Callable[[Typed], object],
        texts: Mapping[str, str] | None = None,
        kept: Secret | None = None,
    ) -> None:
        super().__init__()
        self._face = face
        self._kind = kind
        self._check = check
        self._kept = kept
        self._inputs: dict[str, Input | Choice] = {
            field.name: self._input(field, texts) for field in text_fields(kind)
        }
        self._password = PasswordInput(face, kept is not None) if has_password(kind) else None

    def compose(self) -> ComposeResult:
        """A line a key."""
        with Vertical(classes="dialog"):
            yield words(self._face, f"{self._kind}: {WHAT[self._kind]}", "question")
            for name, field in self._inputs.items():
                yield self._line(name, field, HINTS[name])
                if name == "user" and self._password is not None:
                    hint = "empty: the one that is set" if self._kept else "where it asks for one"
                    yield self._line("password", self._password, hint)
            yield words(self._face, "", "problem")
            answers = "enter  save      esc  leave it      tab  next      left, right  choose"
            yield words(self._face, answers, "answers")

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
    def action_save(self) -> None:
        """Close with what was typed, where that can be."""
        try:
            source = source_from(self._kind, {n: f.value for n, f in self._inputs.items()})
            typed = Typed(source, self._secret())
            self._check(typed)
        except Problem as problem:
            shown = Content(self._face.glyphs.text(str(problem)))
            self.query_one(".problem", Static).update(shown)
            return
        self.dismiss(typed)

    def action_leave(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def _secret(self) -> Secret | None:
        # Never in a variable: a traceback shows those.
        if self._password is None or not self._password.value:
            return self._kept
        return Secret(self._password.value)

    def _input(self, field: TextField, texts: Mapping[str, str] | None) -> Input | Choice:
        value = field.default if texts is None else texts[field.name]
        return Choice(self._face, field.choices, value) if field.choices else quiet_input(value)

    def _line(self, name: str, field: Input | Choice, hint: str) -> Horizontal:
        return Horizontal(
            words(self._face, name, "name"), field, words(self._face, hint, "hint"), classes="field"
        )


class Choice(Static, can_focus=True):
    """One of a few values; left and right step through them."""

    BINDINGS: ClassVar = [
        Binding("left", "step(-1)", "before", show=False),
        Binding("right,space", "step(1)", "next", show=False),
    ]

    def __init__(self, face: Face, choices: tuple[str, ...], value: str) -> None:
        self._face = face
        self._choices = choices
        self.value = value
        super().__init__(self._shown(), markup=False)

    def action_step(self, step: int) -> None:
        """The next value, round and round."""
        at = self._choices.index(self.value)
        self.value = self._choices[(at + step) % len(self._choices)]
        self.update(self._shown())

    def _shown(self) -> Content:
        return Content(self._face.glyphs.text(f"< {self.value or _BY_ITSELF} >"))


class PasswordInput(Input):
    """A masked line, of which nothing can be copied."""

    def __init__(self, face: Face, is_set: bool) -> None:
        super().__init__(password=True, compact=True, placeholder="is set" if is_set else "")
        self.cursor_blink = False
        self._dot = face.glyphs.mark

    @property
    def _value(self) -> Text:
        """As Textual draws it, with a character that the terminal has."""
        return Text(self._dot * len(self.value), no_wrap=True, overflow="ignore", end="")

    def action_copy(self) -> None:
        """Not a password."""

    def action_cut(self) -> None:
        """Not a password."""
