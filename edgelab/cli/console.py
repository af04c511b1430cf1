"""`edgelab`: open the console."""

from __future__ import annotations

import argparse
import sys

from edgelab.consoles import announced
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem


def run(options: argparse.Namespace) -> int:
    """Open the console; without a terminal, say what to use instead."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Problem("the console needs a terminal; without one use: edgelab run quick")
    from screens.app import run_console

    lab = Lab(Home.default())
    with announced(lab.home):
        run_console(
            lab,
            ascii_only=options.ascii,
            low_bandwidth=options.low_bandwidth,
            images=options.images,
        )
    return 0
