"""The one-line widgets of every screen: where we are, which keys work, which tabs there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from screens.actions import Action, Place, footer
from screens.face import Face
from screens.ink import BLANK, Ink, Line, label, line, spread, strong, width_of
from screens.widgets.pane import Pane


class StatusLine(Pane):
    """The first line: the screen's name at the left, what the lab does at the right."""

    def __init__(self, face: Face, place: str) -> None:
        super().__init__(face)
        self._place = place
        self._state = "no run on"

    def say(self, state: str, place: str | None = None) -> None:
        """Show another state, or another name of the screen."""
        self._state = state
        self._place = place or self._place
        self.update()

    def draw(self) -> list[Line]:
        """One line."""
        left = (strong("edgelab"), label(" · "), Ink(self._place))
        return [spread(left, (Ink(self._state, "label"),), self.content_size.width)]


class KeyLine(Pane):
    """The last line: the keys that matter here, as many as fit; help and quit always."""

    def __init__(self, face: Face, place: Place) -> None:
        super().__init__(face)
        self._own = list(_keys(footer(place)))
        self._always = [ink for key in _keys(footer(Place.EVERYWHERE)) for ink in key]

    def draw(self) -> list[Line]:
        """One line."""
        width = self.content_size.width
        room = width - width_of(self._always) - 1
        shown: list[Ink] = []
        for inks in self._own:
            if width_of(shown) + width_of(inks) > room:
                break
            shown += inks
        return [spread(shown, self._always, width)]


class TabLine(Pane):
    """The tabs of a folded screen: number, name, and which one is open."""

    def __init__(self, face: Face, tabs: Sequence[tuple[str, str]], first: int = 1) -> None:
        super().__init__(face)
        self._tabs = list(tabs)
        self._first = first
        self._open = tabs[0][0]

    def open(self, tab: str) -> None:
        """Show `tab` as the open one."""
        self._open = tab
        self.update()

    def offer(self, tabs: Sequence[tuple[str, str]], first: int) -> None:
        """Other tabs, counted from `first`."""
        self._tabs, self._first = list(tabs), first
        self.update()

    def draw(self) -> list[Line]:
        """One line; many tabs stand closer together."""
        inks: list[Ink] = []
        for number, (tab, name) in enumerate(self._tabs, self._first):
            if tab == self._open:
                inks.append(Ink(f"[{number} {name}]", "accent"))
            else:
                inks += [label(f" {number} "), Ink(f"{name} ")]
            inks.append(Ink(" "))
        if width_of(inks) > self.content_size.width:
            inks = [ink for ink in inks if ink.text != " "]
        return [line(*inks) if inks else BLANK]


def _keys(actions: Iterable[Action]) -> Iterable[Line]:
    """Neighbours of one name, like slower and faster, share it."""
    for title, same in groupby(actions, key=lambda action: action.title):
        names = "/".join(action.key_name for action in same)
        yield (Ink(f" {names}", "accent"), Ink(f" {title} "))
