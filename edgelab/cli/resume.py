"""`edgelab resume`: go on with a run that ended before its time."""

from __future__ import annotations

import argparse

from edgelab.cli.started import attend
from edgelab.home import Home
from edgelab.lab import Lab


def run(options: argparse.Namespace) -> int:
    """Put it back into the queue; unless detached, follow it as a new one."""
    lab = Lab(Home.default())
    lab.recover()
    folder = lab.find(options.run)
    spec = folder.read_spec()
    lab.resume(folder)
    return attend(lab, spec, options)
