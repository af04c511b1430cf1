"""The filter of a table: a one-line input that is there only while it is used."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.binding import Binding
from textual.widgets import Input

from screens.face import Face
from screens.widgets.table import Table


class FilterLine(Input):
    """Filters `table` while one types; Enter keeps the filter, Esc takes it off."""

    BINDINGS: ClassVar = [Binding("escape", "clear", "clear", show=False)]

    def __init__(self, face: Face) -> None:
        super().__init__(placeholder=face.glyphs.text("words to look for…"), compact=True)
        self.cursor_blink = False
        self.display = False
        self._table: Table[Any] | None = None

    def open(self, table: Table[Any]) -> None:
        """Filter this table now."""
        self._table = table
        self.value = table.filter
        self.display = True
        self.screen.set_focus(self)

    def action_clear(self) -> None:
        """Show all rows again."""
        self.value = ""
        self._apply("")
        self._close()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self._apply(event.value)

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()

    def _apply(self, text: str) -> None:
        if self._table is not None:
            self._table.show_only(text)

    def _close(self) -> None:
        self.display = False
        if self._table is not None:
            self.screen.set_focus(self._table)
