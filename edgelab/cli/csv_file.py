"""Where `--csv FILE` goes: a file, or stdout for `-`."""

from __future__ import annotations

import sys
from pathlib import Path

from edgelab.export import write_csv
from edgelab.problem import Problem


def write_to(given: str, text: str) -> None:
    """Write the CSV document; raises Problem naming the option."""
    if given == "-":
        sys.stdout.write(text)
        return
    path = Path(given).expanduser().absolute()
    if not path.parent.is_dir():
        raise Problem(f"--csv {path}: there is no folder {path.parent}")
    write_csv(path, text)
    print(f"{text.count(chr(10)) - 1} rows in {path}", file=sys.stderr)
