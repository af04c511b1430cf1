"""The characters that the console draws with: a set for Unicode terminals, one for ASCII."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Glyphs:
    """A set of drawing characters. `levels` rise from low to high, `eighths` from thin to thick."""

    full: str
    eighths: str
    empty: str
    levels: str
    cursor: str
    mark: str
    falling: str
    rising: str
    track: str
    knob: str
    ellipsis: str
    dots: bool
    ascii_only: bool = False

    def text(self, text: str) -> str:
        """Any text, foreign or our own, in characters that the terminal can show."""
        if not self.ascii_only or text.isascii():
            return text
        return text.translate(_IN_ASCII).encode("ascii", "replace").decode()


UNICODE = Glyphs(
    full="█",
    eighths="▏▎▍▌▋▊▉",
    empty="░",
    levels="▁▂▃▄▅▆▇█",
    cursor="›",
    mark="●",
    falling="▼",
    rising="▲",
    track="─",
    knob="●",
    ellipsis="…",
    dots=True,
)

ASCII = Glyphs(
    full="#",
    eighths="",
    empty=".",
    levels="._-=+*%#",
    cursor=">",
    mark="*",
    falling="v",
    rising="^",
    track="-",
    knob="O",
    ellipsis="~",
    dots=False,
    ascii_only=True,
)

_IN_ASCII = str.maketrans(
    {
        "·": "-",
        "–": "-",
        "—": "-",
        "…": "~",
        "×": "x",
        "°": " ",
        "≥": ">=",
        "←": "<",
        "→": ">",
        "↑": "^",
        "↓": "v",
        "“": '"',
        "”": '"',
    }
)
