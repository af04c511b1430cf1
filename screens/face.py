"""How the console shows itself on this terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from screens.glyphs import ASCII, UNICODE, Glyphs


@dataclass(frozen=True)
class Face:
    """Decided once at the start. `tick_s`: seconds between two looks at a run that is on.

    `picture`: makes the widget that shows the image file it is given as `image`; None where none
    is to be shown.
    """

    glyphs: Glyphs = UNICODE
    tick_s: float = 0.5
    sparkline: bool = True
    picture: Callable[[], Any] | None = None

    @staticmethod
    def of(ascii_only: bool, low_bandwidth: bool) -> Face:
        """The face for the options of the command line."""
        return Face(
            glyphs=ASCII if ascii_only else UNICODE,
            tick_s=2.0 if low_bandwidth else 0.5,
            sparkline=not low_bandwidth,
        )
