"""Markdown in which foreign text stays text: no link, no markup, no cell too many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from edgelab import words

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!~&@$])")
_LINKS = re.compile(r"(?i)(://|\bwww\.)")
_LIST_START = re.compile(r"^(\s*)([-+=]|\d+(?=[.)](?:\s|$)))")
_LONGEST = 400


def escaped(text: str) -> str:
    """The text on one line, printed as it is by every reader of CommonMark and GitHub's tables."""
    text = _MARKUP.sub(r"\\\1", words.plain(text, _LONGEST).strip())
    text = _LINKS.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], text)
    return _LIST_START.sub(_guarded, text)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> str:
    """A table; `right` says which columns hold numbers."""
    rule = ["---:" if to_right else "---" for to_right in right]
    lines = [map(escaped, titles), rule, *(map(escaped, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _guarded(match: re.Match[str]) -> str:
    # A digit cannot be escaped: the dot or bracket behind it is what makes it a list.
    mark = match[2]
    return f"{match[1]}{mark}\\" if mark.isdigit() else f"{match[1]}\\{mark}"
