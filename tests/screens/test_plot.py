from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from screens.plot import highest, scatter


def test_corners() -> None:
    assert scatter([(0, 0)], (2, 2), 1, 1, braille=True) == ["  ", "⡀ "]
    assert scatter([(1, 1)], (2, 2), 1, 1, braille=True) == [" ⠈", "  "]
    assert scatter([(0, 0), (1, 1)], (2, 2), 1, 1, braille=False) == [" '", ". "]


POINTS = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=50)


@given(POINTS, st.integers(1, 20), st.integers(1, 10), st.booleans())
def test_every_point_is_drawn_inside(
    points: list[tuple[float, float]], columns: int, rows: int, braille: bool
) -> None:
    drawn = scatter(points, (columns, rows), 10, 10, braille)
    assert [len(row) for row in drawn] == [columns] * rows
    assert "".join(drawn).strip()


@given(POINTS, st.integers(1, 20))
def test_no_peak_is_lost(points: list[tuple[float, float]], columns: int) -> None:
    found = [value for value in highest(points, columns, 10) if value is not None]
    assert max(found) == max(y for _, y in points)


def test_nothing_to_draw_on() -> None:
    assert scatter([(0, 0)], (0, 3), 1, 1, braille=True) == []
