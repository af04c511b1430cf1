"""Points as text: each cell of a braille pattern holds 2 x 4 dots, of plain ASCII 1 x 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_BRAILLE = 0x2800
_BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_ASCII = {0: " ", 1: "'", 2: ".", 3: ":"}

Point = tuple[float, float]


def scatter(
    points: Iterable[Point],
    size: tuple[int, int],
    right: float,
    top: float,
    braille: bool,
) -> list[str]:
    """Rows of text, the highest first, for points within (0, 0) and (`right`, `top`).

    `size`: columns, rows. Points beyond the edges are drawn on them, never left out.
    """
    columns, rows = size
    if columns < 1 or rows < 1:
        return []
    across, down = (2, 4) if braille else (1, 2)
    cells = [[0] * columns for _ in range(rows)]
    for x, y in points:
        column = _place(x, right, columns * across)
        row = rows * down - 1 - _place(y, top, rows * down)
        bit = _BRAILLE_DOTS[row % down][column % across] if braille else 1 << (row % down)
        cells[row // down][column // across] |= bit
    return ["".join(_character(cell, braille) for cell in row) for row in cells]


def highest(points: Sequence[Point], columns: int, right: float) -> list[float | None]:
    """For each column the largest y of the points in it, None where there is none."""
    found: list[float | None] = [None] * columns
    for x, y in points:
        column = _place(x, right, columns)
        before = found[column]
        found[column] = y if before is None else max(before, y)
    return found


def _place(value: float, largest: float, places: int) -> int:
    share = value / largest if largest > 0 else 0.0
    return max(0, min(places - 1, int(share * places)))


def _character(cell: int, braille: bool) -> str:
    if not braille:
        return _ASCII[cell]
    return chr(_BRAILLE + cell) if cell else " "
