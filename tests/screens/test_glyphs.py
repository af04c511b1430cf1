from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from screens.glyphs import ASCII, UNICODE


@given(st.text())
def test_ascii_is_ascii(text: str) -> None:
    assert ASCII.text(text).isascii()


def test_what_has_a_plain_form_gets_it() -> None:
    assert ASCII.text("64 °C · – … “x”") == '64  C - - ~ "x"'
    assert UNICODE.text("64 °C · –") == "64 °C · –"


def test_the_ascii_set_is_ascii() -> None:
    drawn = (ASCII.full, ASCII.empty, ASCII.levels, ASCII.cursor, ASCII.mark, ASCII.falling)
    more = (ASCII.rising, ASCII.track, ASCII.knob, ASCII.ellipsis, ASCII.eighths)
    assert all(text.isascii() for text in (*drawn, *more))
