"""The command palette: the action table, searched by name."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from screens.actions import Action, Place, at
from screens.dialogs import quiet_input
from screens.face import Face
from screens.ink import Tone
from screens.widgets.table import Column, Table


def _accent(_: Action) -> Tone:
    return "accent"


COLUMNS: tuple[Column[Action], ...] = (
    Column("key", lambda action: action.key_name, tone=_accent, searched=False),
    Column("name", lambda action: action.title),
    Column("does", lambda action: action.help, flex=True),
)


class Palette(ModalScreen[Action]):
    """The actions that work on the screen it was opened from; closes with the chosen one."""

    CSS_PATH = "palette.tcss"
    BINDINGS: ClassVar = [
        Binding("up", "move(-1)", "up"),
        Binding("down", "move(1)", "down"),
        Binding("escape", "close", "close"),
    ]

    def __init__(self, face: Face, place: Place) -> None:
        super().__init__()
        self._face = face
        self._place = place
        self._actions: list[Action] = []
        self._table: Table[Action] = Table(
            COLUMNS, lambda action: (action.place, action.id), face, id="commands", headed=False
        )

    def compose(self) -> ComposeResult:
        """What to look for, and what was found."""
        with Vertical(classes="dialog"):
            yield quiet_input(placeholder="what do you want to do?")
            yield self._table

    def on_mount(self) -> None:
        """All of them, before anything is typed."""
        self._table.can_focus = False
        places = (self._place, Place.EVERYWHERE)
        self._actions = [a for place in places for a in at(place) if a.palette]
        self._table.show(self._actions)
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        typed = event.value.casefold()
        # What is called so comes before what only speaks of it.
        self._table.show(sorted(self._actions, key=lambda a: not a.title.startswith(typed)))
        self._table.show_only(typed)
        self._table.action_first()

    @on(Input.Submitted)
    def _take(self) -> None:
        self.dismiss(self._table.row)

    def action_move(self, step: int) -> None:
        """Another row."""
        self._table.action_cursor(step)

    def action_close(self) -> None:
        """Nothing, then."""
        self.dismiss(None)
