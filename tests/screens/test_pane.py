from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.geometry import Region

from screens.face import Face
from screens.ink import Ink, Line, label
from screens.widgets.lines import TabLine
from screens.widgets.pane import Pane, changed_cells

INKS = st.builds(Ink, st.text(alphabet="ab█", max_size=6), st.sampled_from(["plain", "label"]))
LINES = st.lists(INKS, max_size=4).map(tuple)
WIDTH = 30


def cells(line: Line) -> list[tuple[str, str]]:
    found = [(character, ink.tone) for ink in line for character in ink.text]
    return found + [(" ", "fill")] * (WIDTH - len(found))


@given(LINES, LINES)
def test_outside_the_changed_cells_nothing_changed(before: Line, after: Line) -> None:
    changed = changed_cells(before, after, WIDTH)
    start, end = changed if changed else (0, 0)
    old, new = cells(before), cells(after)
    assert old[:start] == new[:start]
    assert old[end:] == new[end:]


def test_only_what_differs_is_changed() -> None:
    before = (label("for "), Ink("11 s"), label("   left "), Ink("9 s"))
    after = (label("for "), Ink("12 s"), label("   left "), Ink("9 s"))
    assert changed_cells(before, after, WIDTH) == (5, 6)


class Counter(Pane):
    value = 1

    def draw(self) -> list[Line]:
        return [(label("value "), Ink(str(self.value))), (Ink("the same"),)]


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield Counter(Face())


async def test_a_pane_refreshes_changed_cells_only() -> None:
    async with Host().run_test(size=(40, 5)) as pilot:
        pane = pilot.app.query_one(Counter)
        await pilot.pause()
        refreshed: list[Region] = []
        pane.refresh = lambda *regions, **_: refreshed.extend(regions)  # type: ignore[assignment]
        pane.update()
        assert refreshed == []
        pane.value = 2
        pane.update()
        assert refreshed == [Region(6, 0, 1, 1)]


async def test_the_same_title_again_redraws_nothing() -> None:
    async with Host().run_test(size=(40, 5)) as pilot:
        pane = pilot.app.query_one(Counter)
        pane.title("Latency · fp32")
        pane.subtitle("1 of 2")
        await pilot.pause()
        refreshed: list[object] = []
        pane.refresh = lambda *_, **__: refreshed.append(1)  # type: ignore[assignment]
        pane.title("Latency · fp32")
        pane.subtitle("1 of 2")
        assert refreshed == []


async def test_many_tabs_stand_closer_and_none_is_cut() -> None:
    names = ("live", "charts", "items", "facts", "log", "doctor", "classes", "counts")
    tabs = TabLine(Face(), [(name, name) for name in names])

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            yield tabs

    async with Host().run_test(size=(78, 3)) as pilot:
        await pilot.pause()
        tabs.open("counts")
        assert tabs.render_line(0).text.rstrip().endswith("[8 counts]")
