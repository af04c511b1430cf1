"""A program of the project, its lines shown on stderr as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from edgelab.cli.output import StatusLine
from edgelab.program import Tell


@contextmanager
def shown(doing: str) -> Iterator[Tell]:
    """What a program is to tell: each line replaces the one before, behind the word `doing`."""
    line = StatusLine()
    try:
        yield partial(line.show, f"{doing}:")
    finally:
        line.clear()
