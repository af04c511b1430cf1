"""A table of any length that draws only the rows in view and holds no cell of its own.

Rows are objects; columns are functions that read them. Opening 100,000 rows costs no more than
opening ten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from screens.actions import Place, bindings
from screens.face import Face
from screens.ink import Ink, Tone, fit, wrap
from screens.widgets.pane import Drawn

R = TypeVar("R")

_SAMPLE = 200
_WIDEST = 48
_NARROWEST = 8
_TELLING = 20
"""What a flexing column takes where not all columns fit, if its texts are as long: less does not
tell one name from another, and the others are a key away."""
_GAPS = (2, 1)


@dataclass(frozen=True)
class Column(Generic[R]):
    """A column. `key` sorts it (None last); `searched`: the filter looks here.

    `width`: fixed, else as wide as its widest text; a `flex` column takes what is left. A `sparse`
    column is left out while its key is None in every row.
    """

    title: str
    text: Callable[[R], str]
    key: Callable[[R], Any] | None = None
    right: bool = False
    width: int | None = None
    flex: bool = False
    tone: Callable[[R], Tone] | None = None
    searched: bool = True
    sparse: bool = False


class Table(Drawn, Generic[R], can_focus=True):
    """Rows with a cursor, an order, a filter and marks."""

    BINDINGS = bindings(Place.TABLE)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--cursor",
        "table--cursor-blurred",
    }

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, table: Table[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Table[Any]:
            """For `@on` with a selector."""
            return self.table

    class Chosen(Moved):
        """Enter was pressed on a row."""

    def __init__(
        self,
        columns: Sequence[Column[R]],
        identify: Callable[[R], Hashable],
        face: Face,
        title: str = "",
        id: str | None = None,  # noqa: A002
        headed: bool = True,
        pinned: int = 1,
        nothing: str = "",
        markable: bool = False,
    ) -> None:
        super().__init__(face, title, id)
        self._columns = self._filled = tuple(columns)
        self.nothing = nothing
        self.filter = ""
        self.order: tuple[int, bool] | None = None
        self.marked: set[Hashable] = set()
        self._identify = identify
        self._headed = headed
        self._gutter = 3 if markable else 2
        self._pinned = pinned
        self._all: list[R] = []
        self._rows: list[R] = []
        self._cursor = 0
        self._top = 0
        self._first_column = pinned
        self._widths: list[int] = []
        self._caption = ""
        self._gap = _GAPS[0]

    # What it holds -----------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column[R], ...]:
        """The columns that have something to say of these rows."""
        return self._filled

    @columns.setter
    def columns(self, columns: Sequence[Column[R]]) -> None:
        self._columns = self._filled = tuple(columns)

    @property
    def rows(self) -> Sequence[R]:
        """The rows that pass the filter, in the order shown."""
        return self._rows

    @property
    def row(self) -> R | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if self._rows else None

    @property
    def marked_rows(self) -> list[R]:
        """The rows that are marked, whether the filter shows them or not."""
        return [row for row in self._all if self._identify(row) in self.marked]

    def show(self, rows: Sequence[R]) -> None:
        """Take new rows; the cursor stays on the row it was on, where that still exists."""
        self._all = list(rows)
        self.marked &= {self._identify(row) for row in self._all} if self.marked else set()
        self._leave_out_empty()
        self._arrange()

    def show_only(self, text: str) -> None:
        """Filter: rows that contain all words of `text`, in any case."""
        self.filter = text
        self._arrange()

    def sort(self, column: int, descending: bool) -> None:
        """Order the rows by a column."""
        self.order = (column, descending)
        self._arrange()

    def sort_next(self) -> None:
        """Order by the next column that can be sorted; after the last, as the rows came."""
        start = self.order[0] + 1 if self.order else 0
        for column in range(start, len(self.columns)):
            if self.columns[column].key is not None:
                self.sort(column, descending=False)
                return
        self.order = None
        self._arrange()

    def reverse(self) -> None:
        """Turn the order round."""
        if self.order is not None:
            self.sort(self.order[0], not self.order[1])

    @property
    def order_words(self) -> str:
        """By which column the rows are ordered; empty: as they came."""
        if self.order is None:
            return ""
        column, descending = self.order
        glyphs = self.face.glyphs
        return f"by {self.columns[column].title} {glyphs.falling if descending else glyphs.rising}"

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or take its mark off, and go to the next."""
        if self.row is None:
            return
        self.marked ^= {self._identify(self.row)}
        self._refresh_row(self._cursor)
        self._announce()
        self.action_cursor(1)

    def unmark(self) -> None:
        """Take all marks off."""
        self.marked.clear()
        self._announce()
        self.refresh()

    def select(self, identity: Hashable) -> None:
        """Put the cursor on a row, where it is shown."""
        for index, row in enumerate(self._rows):
            if self._identify(row) == identity:
                self._go_to(index)
                return

    def row_text(self) -> str:
        """The row under the cursor as text, tabs between the cells."""
        row = self.row
        return "" if row is None else "\t".join(column.text(row) for column in self.columns)

    def caption(self, text: str) -> None:
        """Words in the lower edge of the frame, beside the position."""
        self._caption = text
        self._announce()

    # Keys ----------------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """Go up or down."""
        self._go_to(self._cursor + step)

    def action_page(self, step: int) -> None:
        """Go a page up or down."""
        self._go_to(self._cursor + step * max(1, self._room - 1))

    def action_first(self) -> None:
        """Go to the first row."""
        self._go_to(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self._go_to(len(self._rows) - 1)

    def action_columns(self, step: int) -> None:
        """Show columns further left or right; the pinned ones stay."""
        self._first_column += step
        self.refresh()

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self.row is not None:
            self.post_message(self.Chosen(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave left and right to the screen where all columns are in view."""
        if action != "columns":
            return True
        if parameters == (-1,):
            return self._first_column > self._pinned
        return self._hidden_columns > 0

    # Drawing -------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Other columns may fit now."""
        self._measure()
        self._go_to(self._cursor)
        self._announce()
        self.refresh()

    def on_focus(self) -> None:
        """The cursor is stronger here."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor is fainter now."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The header, a row, or nothing."""
        width = self.content_size.width
        if self._headed and y == 0:
            return self._strip(
                [self._heading(i) for i in self._shown()], " " * self._gutter, "table--header"
            )
        index = self._top + y - self._headed
        if not self._rows:
            lines = wrap(self.nothing, width - 2, "label") if not self._all else []
            lines = lines or wrap(f"nothing contains “{self.filter}”", width - 2, "label")
            offset = y - self._headed
            inks = lines[offset] if 0 <= offset < len(lines) else ()
            return self.strip((Ink("  "), *inks), width)
        if index >= len(self._rows):
            return Strip.blank(width, self.segment(Ink("")).style)
        return self._row_strip(index)

    def _row_strip(self, index: int) -> Strip:
        row = self._rows[index]
        here = index == self._cursor
        glyphs = self.face.glyphs
        mark = glyphs.mark if self._identify(row) in self.marked else ""
        gutter = f"{glyphs.cursor if here else ' '}{mark}".ljust(self._gutter)
        cells = [self._cell(row, column) for column in self._shown()]
        if not here:
            return self._strip(cells, gutter)
        if not self.has_focus:
            return self._strip(cells, gutter, "table--cursor-blurred")
        # One colour: the row is shown in reverse, and reversed tones are a patchwork.
        return self._strip([Ink(cell.text) for cell in cells], gutter, "table--cursor")

    def _cell(self, row: R, index: int) -> Ink:
        column = self.columns[index]
        glyphs = self.face.glyphs
        text = fit(glyphs.text(column.text(row)), self._widths[index], glyphs, column.right)
        return Ink(text, column.tone(row) if column.tone else "plain")

    def _heading(self, index: int) -> Ink:
        column, glyphs = self.columns[index], self.face.glyphs
        title = glyphs.text(column.title)
        if self.order and self.order[0] == index:
            title += glyphs.falling if self.order[1] else glyphs.rising
        return Ink(fit(title, self._widths[index], glyphs, column.right), "label")

    def _strip(self, cells: Sequence[Ink], gutter: str, *styles: str) -> Strip:
        width = self.content_size.width
        inks = [Ink(gutter)]
        for cell in cells:
            inks += [cell, Ink(" " * self._gap)]
        return self.strip(inks, width, *styles)

    # Order and place -----------------------------------------------------------------------

    def _arrange(self) -> None:
        # Unattended at the top, the cursor stays at the top: there the newest comes in.
        unattended = self._cursor == 0 and not self.has_focus
        before = self._under_cursor
        words = self.filter.casefold().split()
        self._rows = [row for row in self._all if self._contains(row, words)]
        if self.order is not None:
            self._rows = in_order(self._rows, self.columns[self.order[0]], self.order[1])
        self._measure()
        self._cursor = self._index_of(None if unattended else before)
        self._go_to(self._cursor)
        if self._under_cursor not in (before, None):  # at the same place, but another row
            self.post_message(self.Moved(self))
        self._announce()
        self.refresh()

    @property
    def _under_cursor(self) -> Hashable | None:
        return None if self.row is None else self._identify(self.row)

    def _leave_out_empty(self) -> None:
        ordered = self.columns[self.order[0]] if self.order is not None else None
        self._filled = tuple(c for c in self._columns if not c.sparse or self._says(c))
        if self.order is not None and ordered is not None:
            places = [i for i, column in enumerate(self.columns) if column is ordered]
            self.order = (places[0], self.order[1]) if places else None

    def _says(self, column: Column[R]) -> bool:
        """Whether a row has something in that column, or there is no row yet."""
        key = column.key or column.text
        return not self._all or any(key(row) is not None for row in self._all)

    def _contains(self, row: R, words: Sequence[str]) -> bool:
        if not words:
            return True
        text = " ".join(c.text(row) for c in self.columns if c.searched).casefold()
        return all(word in text for word in words)

    def _index_of(self, identity: Hashable) -> int:
        if identity is None:
            return 0
        for index, row in enumerate(self._rows):
            if self._identify(row) == identity:
                return index
        return self._cursor

    def _go_to(self, index: int) -> None:
        before = self._cursor
        self._cursor = max(0, min(len(self._rows) - 1, index))
        top = self._top
        if self._cursor < top:
            top = self._cursor
        elif self._cursor >= top + self._room:
            top = self._cursor - self._room + 1
        # No room stays empty below while rows are out of sight above.
        top = max(0, min(top, len(self._rows) - self._room))
        if top != self._top:
            self._top = top
            self.refresh()
        elif before != self._cursor:
            self._refresh_row(before)
            self._refresh_row(self._cursor)
        if before != self._cursor:
            self._announce()
            self.post_message(self.Moved(self))

    @property
    def _room(self) -> int:
        return max(1, self.content_size.height - self._headed)

    def _refresh_row(self, index: int) -> None:
        y = index - self._top + self._headed
        self.refresh(Region(0, y, self.content_size.width, 1))

    def _announce(self) -> None:
        parts = [self._caption] if self._caption else []
        if self.filter:
            parts.append(f"contains “{self.filter}”")
        if self.marked:
            parts.append(f"{len(self.marked)} marked")
        if self._hidden_columns:
            parts.append(f"{self._hidden_columns} more columns →")
        if len(self._rows) > self._room:
            parts.append(f"{self._cursor + 1} of {len(self._rows)}")
        self.subtitle(" · ".join(parts))

    # Columns -------------------------------------------------------------------------------

    def _measure(self) -> None:
        step = max(1, len(self._rows) // _SAMPLE)
        sample = self._rows[::step]
        self._widths = [self._natural(column, sample) for column in self.columns]
        flexing = [i for i, column in enumerate(self.columns) if column.flex]
        room, between = self.content_size.width - self._gutter, len(self.columns) - 1
        fitting = [gap for gap in _GAPS if sum(self._widths) + gap * between <= room]
        self._gap = fitting[0] if fitting else _GAPS[-1]
        self._first_column = self._pinned
        if flexing and room > 0:
            self._flex(flexing[0], sample, room - sum(self._widths) - self._gap * between)

    def _flex(self, index: int, sample: Sequence[R], spare: int) -> None:
        """Give a column what the others leave; where not all fit, what those in view leave."""
        all_fit = self._widths[index] + spare >= _NARROWEST
        if all_fit:
            self._widths[index] += spare
            return
        longest = max((cell_len(self.columns[index].text(row)) for row in sample), default=0)
        self._widths[index] = max(self._widths[index], min(_TELLING, longest))
        shown = self._shown()
        if index in shown:
            used = sum(self._widths[i] + self._gap for i in shown) - self._gap
            left = self.content_size.width - self._gutter - used
            self._widths[index] += max(0, min(left, longest - self._widths[index]))

    def _natural(self, column: Column[R], sample: Sequence[R]) -> int:
        if column.width is not None:
            return column.width
        sorted_by = self.order is not None and self.columns[self.order[0]] is column
        title = cell_len(column.title) + sorted_by if self._headed else 0
        if column.flex:
            return title
        texts = (cell_len(column.text(row)) for row in sample)
        return min(_WIDEST, max([title, *texts]))

    def _shown(self) -> list[int]:
        """The pinned columns, then those from the first column on that fit."""
        if not self._widths:
            return []  # drawn before it was measured, as may happen when it is unfolded
        candidates = [*range(self._pinned), *range(self._first_column, len(self.columns))]
        room = self.content_size.width - self._gutter
        shown: list[int] = []
        for index in candidates:
            if room < self._widths[index] and shown:
                break
            shown.append(index)
            room -= self._widths[index] + self._gap
        return shown

    @property
    def _hidden_columns(self) -> int:
        if not self._widths or not self.content_size.width:
            return 0
        return len(self.columns) - 1 - self._shown()[-1]


def in_order(rows: Sequence[R], column: Column[R], descending: bool) -> list[R]:
    """The rows by a column; those without a value there stand last, whichever way it goes."""
    key = column.key
    if key is None:
        return list(rows)
    known = [(key(row), row) for row in rows]
    missing = [row for value, row in known if value is None]
    present = [pair for pair in known if pair[0] is not None]
    present.sort(key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in present] + missing
