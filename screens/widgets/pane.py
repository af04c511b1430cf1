"""A titled frame of text lines that sends to the terminal only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from screens.face import Face
from screens.ink import TONES, Ink, Line, fit

_FRAME = 6
"""Cells of the lower edge that its words cannot have: corners, lines, blanks."""


class Drawn(Widget):
    """A widget drawn from inks, in the tones that its stylesheet gives them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"ink--{tone}" for tone in TONES}

    def __init__(self, face: Face, title: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.face = face
        # Textual redraws the whole widget whenever an edge is set, even to what it was.
        self._edges = ("", "")
        self.title(title)

    def title(self, text: str) -> None:
        """What stands in the upper edge of the frame."""
        if text != self._edges[0]:
            self._edges = (text, self._edges[1])
            self.border_title = Content(self.face.glyphs.text(text))

    def subtitle(self, text: str) -> None:
        """What stands in the lower edge of the frame."""
        if text != self._edges[1]:
            self._edges = (self._edges[0], text)
            shown = self.face.glyphs.text(text)
            # Cut here: Textual's own ellipsis is none of --ascii.
            room = self.outer_size.width - _FRAME
            if 0 < room < cell_len(shown):
                shown = fit(shown, room, self.face.glyphs)
            self.border_subtitle = Content(shown)

    def segment(self, ink: Ink, *styles: str) -> Segment:
        """The ink in its colours; `styles` are component classes laid over its tone."""
        style = self.get_component_rich_style(f"ink--{ink.tone}")
        for name in styles:
            style += self.get_component_rich_style(name, partial=True)
        return Segment(self.face.glyphs.text(ink.text), style)

    def strip(self, inks: Sequence[Ink], width: int, *styles: str) -> Strip:
        """The inks as a strip of exactly `width` cells."""
        strip = Strip([self.segment(ink, *styles) for ink in inks if ink.text])
        fill = self.segment(Ink(""), *styles).style
        return strip.adjust_cell_length(width, fill).simplify()


class Pane(Drawn):
    """A panel that shows what `draw` returns; `update` draws it again."""

    def __init__(self, face: Face, title: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(face, title, id)
        self._lines: list[Line] = []

    def draw(self) -> list[Line]:
        """The content, for the frame's present `content_size`."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """What is shown, as plain text."""
        return "\n".join("".join(ink.text for ink in line) for line in self._lines)

    def update(self) -> None:
        """Draw again, and refresh the cells that differ."""
        width = self.content_size.width
        if not width:
            return
        before, self._lines = self._lines, self.draw()
        for y in range(max(len(before), len(self._lines))):
            changed = changed_cells(_at(before, y), _at(self._lines, y), width)
            if changed is not None:
                start, end = changed
                self.refresh(Region(start, y, end - start, 1))

    def on_resize(self) -> None:
        """A new size is a new drawing."""
        self.update()

    def on_show(self) -> None:
        """While it was hidden, nobody drew it."""
        self.update()

    def render_line(self, y: int) -> Strip:
        """One line of the drawing."""
        return self.strip(_at(self._lines, y), self.content_size.width)


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else ()


def changed_cells(before: Line, after: Line, width: int) -> tuple[int, int] | None:
    """The cells [start, end) in which two lines differ; None where they are alike."""
    if before == after:
        return None
    old, new = _characters(before), _characters(after)
    shorter = min(len(old), len(new))
    same = 0
    while same < shorter and old[same] == new[same]:
        same += 1
    start, end = _cells(new[:same]), width
    if _cells(old) == _cells(new):
        kept = 0
        while kept < shorter - same and old[-1 - kept] == new[-1 - kept]:
            kept += 1
        end = _cells(new[: len(new) - kept])
    start, end = min(start, width), min(end, width)
    return (start, end) if start < end else None


def _characters(line: Line) -> list[tuple[str, str]]:
    return [(character, ink.tone) for ink in line for character in ink.text]


def _cells(characters: Sequence[tuple[str, str]]) -> int:
    return cell_len("".join(character for character, _ in characters))
