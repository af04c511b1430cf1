"""How this lab starts Python programs of its own, from wherever it is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# -P: the working directory is full of data and must not be searched for modules.
PYTHON_MODULE = (sys.executable, "-P", "-m")


CLOCK_SHIFT = "EDGELAB_CLOCK_SHIFT"
"""Seconds that the clock of a run is ahead of the machine's; a runner's records are moved by it."""


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a child that finds the same packages as this process does."""
    own = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    path = f"{own}{os.pathsep}{inherited}" if inherited else own
    return {**os.environ, "PYTHONPATH": path, **changes}
