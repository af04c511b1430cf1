"""Help: all keys, from the action table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from screens.actions import ACTIONS, Action
from screens.face import Face
from screens.widgets.table import Column, Table

COLUMNS: tuple[Column[Action], ...] = (
    Column("key", lambda action: action.key_name, tone=lambda _: "accent"),
    Column("does", lambda action: action.help),
    Column("where", lambda action: action.place.value, tone=lambda _: "label"),
)


class HelpScreen(ModalScreen[None]):
    """A list of keys over the screen it was opened from."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar = [Binding("escape,q,question_mark", "close", "close")]

    def __init__(self, face: Face) -> None:
        super().__init__()
        self._face = face

    def compose(self) -> ComposeResult:
        """One table."""
        yield Table(COLUMNS, lambda action: (action.place, action.id), self._face, "Keys", "keys")

    def on_mount(self) -> None:
        """Fill it."""
        table = self.query_one(Table)
        table.show(ACTIONS)
        table.caption("esc closes")
        table.focus()

    def action_close(self) -> None:
        """Back."""
        self.dismiss()
