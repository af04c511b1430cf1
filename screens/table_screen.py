"""What all screens about a table share: filter, sort, mark and export work alike on each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.widgets import Input

from screens.base import ConsoleScreen
from screens.ink import count
from screens.widgets.filter_line import FilterLine
from screens.widgets.table import Table


class TableScreen(ConsoleScreen):
    """A screen with tables and one `FilterLine`; the keys work on the table that is open."""

    @property
    def open_table(self) -> Table[Any]:
        """The table that the keys work on: the one in focus, else the first that is shown."""
        if isinstance(self.focused, Table):
            return self.focused
        tables = list(self.query(Table))
        return next((table for table in tables if table.display), tables[0])

    def reordered(self, table: Table[Any]) -> None:
        """The table has another order."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """The filter's key is a character like others where something is being typed."""
        return action != "filter" or not isinstance(self.focused, Input)

    def action_filter(self) -> None:
        """Type words to look for."""
        self.query_one(FilterLine).open(self.open_table)

    def action_sort(self) -> None:
        """Sort by the next column."""
        table = self.open_table
        table.sort_next()
        self.reordered(table)

    def action_reverse(self) -> None:
        """Turn the order of the rows round."""
        table = self.open_table
        table.reverse()
        self.reordered(table)

    def action_mark(self) -> None:
        """Mark this row, or take the mark off."""
        self.open_table.toggle_mark()

    def action_unmark(self) -> None:
        """Take all marks off."""
        self.open_table.unmark()

    def export_rows(self, name: str, text: Callable[[list[Any]], str], noun: str) -> None:
        """Write the marked rows of the open table, or all that are shown, as CSV."""
        table = self.open_table
        rows = table.marked_rows or list(table.rows)
        if not rows:
            self.console.say(f"there is no {noun} to export")
            return
        self.console.export(name, partial(text, rows), count(len(rows), noun))
