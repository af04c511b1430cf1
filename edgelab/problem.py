"""The one error that a person is meant to read."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - it is shown as a sentence, not as a type name
    """Something a person can mend: one plain sentence, no traceback.

    Raised at the edges (files, arguments, profiles). Command line, runner and console print
    `str(problem)` and nothing else.
    """
