from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from screens.face import Face
from screens.widgets.table import Column, Table, in_order

Row = tuple[int, str | None]

COLUMNS: tuple[Column[Row], ...] = (
    Column("number", lambda row: str(row[0]), lambda row: row[0], right=True),
    Column("name", lambda row: row[1] or "–", lambda row: row[1], flex=True),
)


class Host(App[None]):
    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self.rows = rows
        self.table: Table[Row] = Table(COLUMNS, lambda row: row[0], Face(), "Things")

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.show(self.rows)
        self.table.focus()


def shown(table: Table[Row]) -> list[str]:
    return [table.render_line(y).text.rstrip() for y in range(table.content_size.height)]


ABC: list[Row] = [(1, "beta"), (2, None), (3, "alpha"), (4, "gamma")]


async def test_rows_and_header() -> None:
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        await pilot.pause()
        lines = shown(pilot.app.table)
        assert lines[:5] == [
            "  number  name",
            "›      1  beta",
            "       2  –",
            "       3  alpha",
            "       4  gamma",
        ]


async def test_unknown_stands_last_in_either_order() -> None:
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        table = pilot.app.table
        table.sort(1, descending=False)
        assert [row[0] for row in table.rows] == [3, 1, 4, 2]
        table.reverse()
        assert [row[0] for row in table.rows] == [4, 1, 3, 2]
        assert "name▼" in shown(table)[0]


async def test_sorting_goes_through_the_columns_and_back_to_none() -> None:
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        table = pilot.app.table
        seen = []
        for _ in range(3):
            table.sort_next()
            seen.append(table.order)
        assert seen == [(0, False), (1, False), None]
        assert [row[0] for row in table.rows] == [1, 2, 3, 4]


async def test_the_cursor_stays_on_its_row() -> None:
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        table = pilot.app.table
        await pilot.press("down", "down")
        table.sort(1, descending=False)
        assert table.row == (3, "alpha")
        table.show([(9, "new"), *ABC])
        assert table.row == (3, "alpha")
        table.show_only("gam")
        assert table.row == (4, "gamma")


async def test_no_row_is_out_of_sight_while_there_is_room() -> None:
    class Chosen(Host):
        def on_mount(self) -> None:
            super().on_mount()
            self.table.select(4)  # before the table knows how high it is

    async with Chosen(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        await pilot.pause()
        assert shown(pilot.app.table)[1:5] == [
            "       1  beta",
            "       2  –",
            "       3  alpha",
            "›      4  gamma",
        ]


async def test_marks_of_rows_that_are_gone_are_gone() -> None:
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        table = pilot.app.table
        table.toggle_mark()
        table.toggle_mark()
        table.show(ABC[1:])
        assert table.marked_rows == [(2, None)]


async def test_an_empty_table_takes_every_key() -> None:
    async with Host([]).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        await pilot.press(
            "up", "down", "pageup", "pagedown", "home", "end", "enter", "left", "right"
        )
        assert pilot.app.table.row is None
        pilot.app.table.toggle_mark()
        assert pilot.app.table.row_text() == ""


async def test_a_sparse_column_is_there_once_a_row_has_something_in_it() -> None:
    async with Host([]).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        table = pilot.app.table
        table.columns = (COLUMNS[0], replace(COLUMNS[1], sparse=True))
        assert len(table.columns) == 2  # nothing is known of it yet
        table.show([(1, None), (2, None)])
        assert table.columns == (COLUMNS[0],)
        table.show([(1, None), (2, "beta")])
        table.sort(1, descending=True)
        assert table.order_words.startswith("by name")
        table.show([(1, None)])
        assert table.order is None
        table.show([(3, "gamma")])
        assert len(table.columns) == 2


async def test_many_rows_are_read_only_where_they_are_seen() -> None:
    read: list[int] = []

    def text(row: Row) -> str:
        read.append(row[0])
        return str(row[0])

    host = Host([(n, "x") for n in range(100_000)])
    host.table.columns = (Column("number", text), COLUMNS[1])
    async with host.run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        read.clear()
        await pilot.press("end")
        await pilot.pause()
        assert host.table.row == (99_999, "x")
        assert 0 < len(read) < 100
        await pilot.press("pageup")
        assert host.table.row is not None
        assert host.table.row[0] < 99_999


async def test_columns_that_do_not_fit_are_a_key_away() -> None:
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        table = pilot.app.table
        names = [f"column {number}" for number in range(6)]
        table.columns = tuple(Column[Row](name, lambda row: str(row[0])) for name in names)
        table.show(ABC)
        await pilot.pause()
        assert "column 5" not in shown(table)[0]
        await pilot.press(*["right"] * 10)
        assert "column 5" in shown(table)[0]
        assert "column 0" in shown(table)[0], "the first is pinned"
        await pilot.press(*["left"] * 10)
        assert "column 1" in shown(table)[0]


async def test_a_flexing_column_still_tells_one_name_from_another() -> None:
    """Where not all columns fit, it takes what those in view leave; the others are a key away."""
    rows: list[Row] = [(n, f"val2017/{n:012}.jpg") for n in range(3)]
    wide = Column[Row]("problem", lambda _: "x" * 40)
    names = Column[Row]("image", lambda row: row[1] or "", flex=True)
    for size, expected in ((40, "val2017/000000000001.jpg"), (30, "val2017/000000000001…")):
        host = Host(rows)
        host.table.columns = (names, COLUMNS[0], wide)
        async with host.run_test(size=(size, 10)) as pilot:
            await pilot.pause()
            line = shown(host.table)[2]
            assert expected in line
            assert line.endswith(" 1")


ROWS = st.lists(st.tuples(st.integers(0, 9), st.none() | st.sampled_from("abc")))


@given(ROWS, st.booleans())
def test_order_is_a_stable_permutation(rows: list[Row], descending: bool) -> None:
    ordered = in_order(rows, COLUMNS[1], descending)
    assert sorted(ordered, key=repr) == sorted(rows, key=repr)
    known = [row[1] for row in ordered if row[1] is not None]
    assert known == sorted(known, reverse=descending)
    assert all(row[1] is None for row in ordered[len(known) :])
    for name in "abc":
        assert [r for r in ordered if r[1] == name] == [r for r in rows if r[1] == name]


async def test_a_table_that_is_drawn_before_it_was_measured_is_empty_and_no_crash() -> None:
    """Seen under load: a pane that is unfolded can be drawn before its first layout."""
    async with Host(ABC).run_test(size=(30, 10)) as pilot:
        assert isinstance(pilot.app, Host)
        late: Table[Row] = Table(COLUMNS, lambda row: row[0], Face(), "Late")
        late.display = False
        await pilot.app.mount(late)
        assert late.render_line(0).text.strip() == ""
