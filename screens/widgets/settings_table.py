"""The settings of a run as a list: left and right step a value, Enter types it."""

from __future__ import annotations

from textual import on
from textual.message import Message

from edgelab.problem import Problem
from edgelab.settings.base import MeasureSettings
from screens.actions import Place, bindings
from screens.dialogs import Edit
from screens.face import Face
from screens.settings import Setting, settings_rows
from screens.widgets.table import Column, Table


class SettingsTable(Table[Setting]):
    """Rows of settings; posts `Changed` with the new, valid settings."""

    BINDINGS = bindings(Place.SETTINGS)

    class Changed(Message):
        """A value was changed."""

        def __init__(self, settings: MeasureSettings) -> None:
            super().__init__()
            self.settings = settings

    def __init__(self, settings: MeasureSettings, face: Face) -> None:
        self.settings = settings
        columns: tuple[Column[Setting], ...] = (
            Column("setting", lambda row: row.title, width=12, tone=lambda _: "label"),
            Column("value", lambda row: row.text(self.settings), flex=True),
        )
        super().__init__(columns, lambda row: row.title, face, "Settings", "settings", headed=False)

    def on_mount(self) -> None:
        """The rows never change while the task is the same, only their values."""
        self.set_to(self.settings)

    def set_to(self, settings: MeasureSettings) -> None:
        """Show these settings, with the rows of their task."""
        self.settings = settings
        self.show(settings_rows(task=type(settings)))
        self._hint()

    @on(Table.Moved)
    def _hint(self) -> None:
        self.caption(self.row.hint if self.row else "")

    def action_step(self, direction: int) -> None:
        """The next value."""
        if self.row is None:
            return
        try:
            self._take(self.row.step(self.settings, direction))
        except Problem as problem:
            self.app.notify(str(problem), severity="error", markup=False)

    def action_edit(self) -> None:
        """Type the value."""
        row = self.row
        if row is None:
            return
        if row.read is None:
            self.action_step(1)
            return
        read = row.read

        def take(typed: str | None) -> None:
            if typed is not None:
                self._take(read(self.settings, typed))

        self.app.push_screen(
            Edit(
                self.face, row.title, row.text(self.settings), row.hint,
                lambda typed: read(self.settings, typed),
            ),
            take,
        )  # fmt: skip

    def _take(self, settings: MeasureSettings) -> None:
        if settings != self.settings:
            self.settings = settings
            self.refresh()
            self.post_message(self.Changed(settings))
