"""One text in full: a table's row has one line."""

from __future__ import annotations

from screens.face import Face
from screens.ink import Line, wrap
from screens.widgets.pane import Pane


class DetailPane(Pane):
    """What the selected row says, as many lines of it as there is room for."""

    def __init__(self, face: Face) -> None:
        super().__init__(face, "", "detail")
        self.said = ""

    def say(self, text: str) -> None:
        """Show this text."""
        self.said = text
        self.update()

    def draw(self) -> list[Line]:
        """As many lines as there is room for."""
        size = self.content_size
        return wrap(self.said, size.width, most=max(1, size.height))
