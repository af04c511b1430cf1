"""The one error that a person is meant to read, and how the system's own are put."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - it is shown as a sentence, not as a type name
    """Something a person can mend: one plain sentence, no traceback.

    Raised at the edges (files, arguments, profiles). Command line, runner and console print
    `str(problem)` and nothing else.
    """


def told(error: Exception) -> str:
    """What a person reads of it: of the system's errors the file, then what is wrong with it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
