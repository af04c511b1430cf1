"""`edgelab stop`: ask a run to stop."""

from __future__ import annotations

import argparse

from edgelab.home import Home
from edgelab.lab import Lab


def run(options: argparse.Namespace) -> int:
    """Leave the request; the supervisor obeys within a second."""
    lab = Lab(Home.default())
    folder = lab.find(options.run)
    lab.stop(folder)
    print(f"run {folder.id} is asked to stop")
    return 0
