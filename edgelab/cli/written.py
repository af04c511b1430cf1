"""Where documents go: `--csv FILE` and `--markdown FILE`, stdout for `-`, and the lab's own."""

from __future__ import annotations

import sys
from pathlib import Path

from edgelab import words
from edgelab.cli.output import say
from edgelab.export import write_csv
from edgelab.problem import Problem


def write_to(given: str, text: str) -> None:
    """Write the document; raises Problem where its folder is not there."""
    if given == "-":
        sys.stdout.write(text)
        return
    path = Path(given).expanduser().absolute()
    if not path.parent.is_dir():
        raise Problem(f"{path}: there is no folder {path.parent}")
    write_csv(path, text)
    say(f"written to {path}")


def keep(path: Path, text: str) -> str | None:
    """Write a CSV that nobody asked for into the lab; where it went, None where it could not.

    What has been measured is told all the same when the disk is full: it may have taken hours.
    """
    try:
        write_csv(path, text)
    except Problem as problem:
        say(f"no CSV: {words.plain(str(problem), 4096)}")
        return None
    return str(path)


def print_kept(path: str | None) -> None:
    """Where the lab's own CSV lies."""
    if path is not None:
        print(f"CSV: {words.plain(path, 4096)}")
