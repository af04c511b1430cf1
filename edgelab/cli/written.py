"""Where `--csv FILE` and `--markdown FILE` go: a file, or stdout for `-`."""

from __future__ import annotations

import sys
from pathlib import Path

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
