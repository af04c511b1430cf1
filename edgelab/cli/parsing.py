"""The parser of each command: what it does not know is told by the command that was meant."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, NoReturn

_INVALID_CHOICE = re.compile(r"invalid choice: '([^']+)' \(choose from (.+)\)")


class CommandParser(argparse.ArgumentParser):
    """As argparse's, but an option that is not known ends in the usage of its own command.

    argparse hands it up to the top, whose usage says nothing of it, and complains first of the
    required option that it is a misspelling of.
    """

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[Any, list[str]]:
        """What the options say; what is not known is an error here."""
        given = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:
            self._know(given)
        found, unknown = super().parse_known_args(given, namespace)
        if unknown:
            near = _nearest(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"not known: {' '.join(unknown)}{near}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """The same, with the nearest of the choices."""
        if match := _INVALID_CHOICE.search(message):
            message += _nearest(match[1], re.findall(r"[\w.-]+", match[2]))
        super().error(message)

    def _know(self, given: Sequence[str]) -> None:
        options = self._option_string_actions
        for word in takewhile(lambda each: each != "--", given):
            name = word.partition("=")[0]
            if not name.startswith("--") or " " in name:
                continue
            if not any(option.startswith(name) for option in options):
                self.error(f"no option is called {name}{_nearest(name, options)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return f": did you mean {near[0]}?" if near else ""
