"""Printing: tables for people, one JSON document for scripts, progress on stderr."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from edgelab import words


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """An aligned table; columns of numbers to the right. Wider than the terminal is not cut."""
    cells = [[words.plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    right = [all(_numeric(cell) for cell in column) for column in zip(*cells, strict=True)]
    right = right or [False] * len(titles)
    head = [list(titles), ["-" * width for width in widths]] if any(titles) else []
    for line in [*head, *cells]:
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def say(text: str) -> None:
    """A line for the person watching, on stderr."""
    print(text, file=sys.stderr, flush=True)


class StatusLine:
    """One line on stderr that is written over; without a terminal, a line at each new headline."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._headline = ""

    def show(self, headline: str, detail: str) -> None:
        """`headline` says what is being done, `detail` how far it is."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{f'{headline} {detail}'[:width]}")
            sys.stderr.flush()
        elif headline != self._headline:
            say(headline)
        self._headline = headline

    def clear(self) -> None:
        """Leave an empty line for what follows."""
        if self._terminal and self._headline:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _numeric(cell: str) -> bool:
    return cell == words.UNKNOWN or cell.replace(".", "", 1).lstrip("-").isdigit()
