"""Lines of text with a tone each, before any widget or colour: what the panels are drawn as.

Text in a line is never parsed for markup, so foreign names can be put in as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

from screens.glyphs import Glyphs

Tone = Literal["plain", "label", "strong", "accent", "good", "warn", "bad"]
TONES: tuple[Tone, ...] = ("plain", "label", "strong", "accent", "good", "warn", "bad")


class Ink(NamedTuple):
    """A stretch of text in one tone."""

    text: str
    tone: Tone = "plain"


Line = tuple[Ink, ...]

BLANK: Line = ()


def line(*parts: str | Ink) -> Line:
    """A line of inks; a bare string is plain."""
    return tuple(part if isinstance(part, Ink) else Ink(part) for part in parts)


def label(text: str) -> Ink:
    """The name of a thing, as against its value."""
    return Ink(text, "label")


def strong(text: str) -> Ink:
    """What the eye should find first."""
    return Ink(text, "strong")


def width_of(inks: Iterable[Ink]) -> int:
    """Cells that the inks take on the terminal."""
    return sum(cell_len(ink.text) for ink in inks)


def fit(text: str, width: int, glyphs: Glyphs, right: bool = False) -> str:
    """Exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + glyphs.ellipsis
    padding = " " * (width - length)
    return padding + text if right else text + padding


def spread(left: Sequence[Ink], right: Sequence[Ink], width: int) -> Line:
    """One line with something at either end; the left gives way, cut in its last inks."""
    kept, room = list(left), width - width_of(right) - 1
    while kept and width_of(kept) > room:
        last = kept.pop()
        kept.append(Ink(set_cell_size(last.text, max(0, room - width_of(kept))), last.tone))
        if not kept[-1].text:
            kept.pop()
    return (*kept, Ink(" " * (width - width_of(kept) - width_of(right))), *right)


def wrap(text: str, width: int, tone: Tone = "plain", most: int = 10) -> list[Line]:
    """Text over several lines, broken at spaces where there are any; at most `most` lines.

    What has no room is told by the dots at the end of the last.
    """
    lines: list[Line] = []
    for paragraph in text.splitlines() or [""]:
        for row in _rows(paragraph, max(1, width)):
            if len(lines) == most:
                return [*lines[:-1], _cut(lines[-1], max(1, width))] if lines else lines
            lines.append((Ink(row, tone),))
    return lines


def _cut(line: Line, width: int) -> Line:
    (ink,) = line
    room = min(cell_len(ink.text), max(1, width - 1))
    return (Ink(set_cell_size(ink.text, room) + "…", ink.tone),)


def flow(cells: Iterable[Line], width: int) -> list[Line]:
    """Cells one after the other, on as many lines as they need."""
    lines: list[list[Ink]] = [[]]
    for cell in cells:
        if lines[-1] and width_of(lines[-1]) + width_of(cell) > width + 2:
            lines.append([])
        lines[-1] += cell
    return [tuple(inks) for inks in lines]


def bar(share: float, width: int, glyphs: Glyphs, tone: Tone = "accent") -> Line:
    """A horizontal bar, `share` from 0 to 1, drawn to an eighth of a cell where that exists.

    The least share above 0 is seen.
    """
    filled = max(0.0, min(1.0, share)) * max(0, width)
    steps = len(glyphs.eighths) + 1
    whole, part = divmod(max(int(filled * steps), filled > 0), steps)
    head = glyphs.eighths[part - 1] if part else ""
    return (
        Ink(glyphs.full * whole + head, tone),
        Ink(glyphs.empty * max(0, width - whole - len(head)), "label"),
    )


def sparkline(values: Sequence[float], height: int, glyphs: Glyphs) -> list[str]:
    """A column a value over `height` rows, highest row first, from 0 to the largest value."""
    steps, top = len(glyphs.levels), max(values, default=0.0)
    scale = height * steps / top if top > 0 else 0.0
    # No value is drawn as nothing: one step is the least.
    levels = [max(1, round(scale * max(0.0, value))) for value in values]
    return [
        "".join(_level(level - row * steps, glyphs) for level in levels)
        for row in reversed(range(height))
    ]


def _level(level: int, glyphs: Glyphs) -> str:
    return " " if level <= 0 else glyphs.levels[min(level, len(glyphs.levels)) - 1]


def count(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rows(paragraph: str, width: int) -> Iterable[str]:
    row = ""
    for word in paragraph.split(" "):
        candidate = f"{row} {word}" if row else word
        if cell_len(candidate) <= width:
            row = candidate
            continue
        if row:
            yield row
        while cell_len(word) > width:
            yield set_cell_size(word, width)
            word = word[len(set_cell_size(word, width).rstrip()) or 1 :]
        row = word
    yield row
