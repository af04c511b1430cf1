"""`edgelab`: open the console."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from edgelab.consoles import announced
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem


def run(options: argparse.Namespace) -> int:
    """Open the console; without a terminal, say what to use instead."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Problem("the console needs a terminal; without one use: edgelab run quick")
    lab = Lab(Home.default())
    lab.home.look_into()
    run_console = import_console()
    with announced(lab.home):
        run_console(
            lab,
            ascii_only=options.ascii,
            low_bandwidth=options.low_bandwidth,
            images=options.images,
        )
    return 0


def import_console() -> Callable[..., None]:
    """`screens.app.run_console`, with an asyncio as in a Python that has no ssl.

    The console opens no connection through asyncio, and OpenSSL takes 5 MB of the 60 that a console
    may have on a board. Whoever speaks to a plug or a hub imports ssl itself, later.
    """
    if "ssl" in sys.modules:
        from screens.app import run_console

        return run_console
    sys.modules["ssl"] = None  # type: ignore[assignment]  # Python's own way to say: not there
    try:
        from screens.app import run_console
    finally:
        del sys.modules["ssl"]
    return run_console
