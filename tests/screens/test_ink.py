from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from screens.glyphs import ASCII, UNICODE
from screens.ink import Ink, bar, fit, flow, label, sparkline, spread, strong, width_of, wrap

WORDS = st.text(alphabet="ab 日é…", max_size=40)
WIDTHS = st.integers(1, 60)


@given(WORDS, WIDTHS, st.booleans())
def test_fit_is_exactly_as_wide(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, UNICODE, right)) == width


def test_fit_cuts_with_an_ellipsis() -> None:
    assert fit("yolov8n", 5, UNICODE) == "yolo…"
    assert fit("42", 5, UNICODE, right=True) == "   42"


@given(WORDS, WIDTHS)
def test_wrapped_lines_fit(text: str, width: int) -> None:
    # One wide character does not fit one cell.
    assert all(width_of(row) <= max(2, width) for row in wrap(text, width))


@given(st.text(alphabet="abc ", max_size=80), WIDTHS)
def test_wrapping_loses_no_letter(text: str, width: int) -> None:
    rows = wrap(text, width, most=1000)
    assert "".join(row[0].text for row in rows).replace(" ", "") == text.replace(" ", "")


def test_wrap_stops_at_most() -> None:
    assert len(wrap("a b c d", 1, most=2)) == 2
    assert [row[0].text for row in wrap("one two three", 4, most=2)] == ["one", "two…"]
    assert wrap("one two", 4, most=2)[-1] == wrap("two", 4)[0], "nothing is left out"


@given(st.floats(-1, 2), st.integers(0, 40))
def test_a_bar_fills_its_width(share: float, width: int) -> None:
    for glyphs in (UNICODE, ASCII):
        assert width_of(bar(share, width, glyphs)) == width


def test_a_bar_shows_its_share() -> None:
    assert bar(0.5, 4, ASCII)[0].text == "##"
    assert bar(0.5625, 4, UNICODE)[0].text == "██▎"
    assert bar(1.0, 4, UNICODE)[0].text == "████"


def test_the_least_share_is_seen() -> None:
    assert bar(0.01, 10, ASCII)[0].text == "#"
    assert bar(0.001, 10, UNICODE)[0].text == "▏"
    assert bar(0.0, 10, ASCII)[0].text == bar(0.0, 10, UNICODE)[0].text == ""


def test_a_sparkline_begins_at_nought() -> None:
    assert sparkline([4.0, 8.0], 1, UNICODE) == ["▄█"]
    assert sparkline([2.0, 8.0], 2, UNICODE) == [" █", "▄█"]


def test_the_least_value_is_seen() -> None:
    assert sparkline([0.0, 100.0], 1, ASCII) == [".#"]


@given(WORDS, WORDS, WIDTHS)
def test_spread_gives_the_right_side_its_room(left: str, right: str, width: int) -> None:
    line = spread((Ink(left), label(left)), (strong(right),), width)
    assert width_of(line) == max(width, cell_len(right))
    assert line[-1].text == right


def test_cells_flow_onto_the_next_line() -> None:
    cells = [(Ink(text),) for text in ("aaaa  ", "bbbb  ", "cc  ")]
    assert [width_of(row) for row in flow(cells, 10)] == [12, 4]
