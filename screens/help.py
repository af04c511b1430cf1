"""Help: all keys, from the action table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from screens.actions import Place, at
from screens.face import Face
from screens.ink import Tone
from screens.widgets.table import Column, Table


class HelpRow(NamedTuple):
    """A key and what it does; without a key, the name of the place where the next ones work."""

    place: Place
    key: str
    text: str

    @property
    def tone(self) -> Tone:
        """Places stand out."""
        return "plain" if self.key else "strong"


COLUMNS: tuple[Column[HelpRow], ...] = (
    Column("key", lambda row: row.key, tone=lambda _: "accent"),
    Column("does", lambda row: row.text, flex=True, tone=lambda row: row.tone),
)


class HelpScreen(ModalScreen[None]):
    """A list of keys over the screen it was opened from, whose own keys come first."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar = [Binding("escape,q,question_mark", "close", "close")]

    def __init__(self, face: Face, place: Place) -> None:
        super().__init__()
        self._face = face
        self._place = place

    def compose(self) -> ComposeResult:
        """One table."""
        yield Table(COLUMNS, lambda row: (row.place, row.key), self._face, "Keys", "keys")

    def on_mount(self) -> None:
        """Fill it."""
        table = self.query_one(Table)
        table.show(list(help_rows(self._place)))
        table.caption("esc closes")
        table.focus()

    def action_close(self) -> None:
        """Back."""
        self.dismiss()


def help_rows(first: Place) -> Iterator[HelpRow]:
    """All keys by place: those of `first`, what works everywhere, then the rest."""
    for place in dict.fromkeys((first, Place.EVERYWHERE, Place.TABLE, *Place)):
        yield HelpRow(place, "", place.value)
        yield from (HelpRow(place, action.key_name, action.help) for action in at(place))
