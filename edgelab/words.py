"""Words and numbers as a person reads them: the same on screen, command line and in errors."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path

UNKNOWN = "–"

_SHOWN = 200
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def plain(text: str, limit: int = _SHOWN) -> str:
    """Foreign text made harmless for a terminal: one line, nothing invisible, not endless.

    Control characters, terminal escapes and direction marks become `·`; longer text is cut in the
    middle, so that both ends stay readable. Rich markup is not touched: print it as Text.
    """
    head = text[: 2 * limit] + text[-limit:] if len(text) > 3 * limit else text
    clean = "".join("·" if unicodedata.category(c) in _HIDDEN_CATEGORIES else c for c in head)
    if len(clean) <= limit:
        return clean
    half = (limit - 1) // 2
    return f"{clean[:half]}…{clean[-half:]}"


def short_name(path: str) -> str:
    """The last part of a path without its file's suffix; the dot of a version is none."""
    last = Path(path)
    return last.stem if last.suffix[1:].isalpha() else last.name


def duration(seconds: float | None) -> str:
    """0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(seconds: float, form: str = "%Y-%m-%d %H:%M") -> str:
    """Local date and time of Unix seconds; a damaged record may hold some that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds).strftime(form)
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def milliseconds(value: float | None) -> str:
    """Three significant digits where that makes sense: 0.53, 4.81, 23.4, 1240."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def megabytes(count: int | None) -> str:
    """Bytes as MB (10^6), one decimal below 100."""
    if count is None:
        return UNKNOWN
    value = count / 1e6
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of decimals."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """A part of a whole in per cent."""
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def whole(value: float | None) -> str:
    """A whole number."""
    return UNKNOWN if value is None else f"{value:.0f}"
