"""The image that is being asked about, in terminals that can show one.

Its library asks the terminal what it can before the console starts, and is an extra of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container

from edgelab.problem import Problem
from edgelab.projection import RunProjection
from screens.face import Face

PERIOD_S = 5.0
"""Seconds of a run between two images: one is some ten thousand bytes."""


def terminal_picture() -> Callable[[], Any]:
    """The widget that shows images here, the best way this terminal knows.

    To be called before the console starts. Raises Problem where its library is missing.
    """
    try:
        from textual_image.widget import Image
    except ModuleNotFoundError as error:
        raise Problem(
            f"--images needs {error.name}, which is not installed: pip install 'edgelab[images]'"
        ) from None
    return Image


class PicturePane(Container):
    """The newest image, while questions are asked; nothing where images are not wanted.

    The class `-shown` says so; the stylesheet gives it room, or none on a small terminal.
    """

    def __init__(self, face: Face) -> None:
        super().__init__(id="picture")
        self._picture = None if face.picture is None else face.picture()
        self._path = ""
        self._since = 0.0

    def compose(self) -> ComposeResult:
        """The image alone."""
        if self._picture is not None:
            yield self._picture

    def follow(self, run: RunProjection | None) -> None:
        """Show what this run asks about, where it is time again."""
        if self._picture is None:
            return
        if run is None or run.outcome.over:
            self.set_class(False, "-shown")
        elif run.asking is not None and run.asking.path != self._path:
            moment = run.asking.t
            if not self.has_class("-shown") or abs(moment - self._since) >= PERIOD_S:
                self._path, self._since = run.asking.path, moment
                self.set_class(self._open(self._picture), "-shown")

    def _open(self, picture: Any) -> bool:
        """False where the file is not here, as in the replay of another board's run."""
        try:
            picture.image = self._path
        except OSError:
            return False
        return True
