"""The dialogs of the Power screen: which kind of source, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from edgelab.energy.config import AnySourceConfig
from edgelab.energy.editing import KINDS, TextField, has_password, source_from, text_fields
from edgelab.energy.secret import Secret
from screens.dialogs import quiet_input, words
from screens.face import Face
from screens.form import Choice, Form, Line
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
_PASSWORD = "password"  # noqa: S105 - the name of a line

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


class SourceForm(Form[Typed]):
    """The keys of one source; Enter is accepted only where `check` raises no Problem.

    `texts`: what stands in the file now, empty for a new source. A password is never shown: left
    empty, the one that is `kept` stays.
    """

    enter: ClassVar[str] = "save"

    def __init__(
        self,
        face: Face,
        kind: str,
        check: Callable[[Typed], object],
        texts: Mapping[str, str] | None = None,
        kept: Secret | None = None,
    ) -> None:
        self._kind = kind
        self._check = check
        self._texts = texts
        self._kept = kept
        self._password = PasswordInput(face, kept is not None) if has_password(kind) else None
        super().__init__(face, f"{kind}: {WHAT[kind]}")

    def lines(self) -> Iterator[Line]:
        """A line a key, the password below its user."""
        for field in text_fields(self._kind):
            yield Line(field.name, self._input(field), HINTS[field.name])
            if field.name == "user" and self._password is not None:
                hint = "empty: the one that is set" if self._kept else "where it asks for one"
                yield Line(_PASSWORD, self._password, hint)

    def taken(self) -> Typed:
        """The source as it was typed; raises Problem where `check` does."""
        # The password is never in a variable: a traceback shows those.
        texts = {name: text for name, text in self.typed.items() if name != _PASSWORD}
        typed = Typed(source_from(self._kind, texts), self._secret())
        self._check(typed)
        return typed

    def _secret(self) -> Secret | None:
        if self._password is None or not self._password.value:
            return self._kept
        return Secret(self._password.value)

    def _input(self, field: TextField) -> Input | Choice:
        value = field.default if self._texts is None else self._texts[field.name]
        if not field.choices:
            return quiet_input(value)
        return Choice(self.face, field.choices, value, empty=_BY_ITSELF)


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
