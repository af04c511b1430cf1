"""The consoles that are open on a lab, so that a run can tell what watching it has cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgelab.home import Home


@contextmanager
def announced(home: Home) -> Iterator[None]:
    """Be known as an open console while the body runs."""
    mark = home.consoles / str(os.getpid())
    with suppress(OSError):  # a full disk must not keep the console from opening
        home.consoles.mkdir(parents=True, exist_ok=True)
        mark.touch()
    try:
        yield
    finally:
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def open_consoles(home: Home) -> list[int]:
    """Process ids of the consoles that are open; marks of the dead are removed."""
    pids = []
    try:
        marks = list(home.consoles.iterdir())
    except FileNotFoundError:
        return []
    for mark in marks:
        if mark.name.isdigit() and Path(f"/proc/{mark.name}").exists():
            pids.append(int(mark.name))
        else:
            mark.unlink(missing_ok=True)
    return pids
