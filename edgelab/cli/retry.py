"""`edgelab retry`: start a run that ran out of memory again, with less."""

from __future__ import annotations

import argparse

from edgelab.cli.output import say
from edgelab.cli.started import attend
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.smaller import retry_smaller


def run(options: argparse.Namespace) -> int:
    """Say what is less, submit it; unless detached, follow it as a new one."""
    lab = Lab(Home.default())
    lab.recover()
    spec, change = retry_smaller(lab, lab.record(lab.find(options.run)))
    say(f"again, {change}")
    return attend(lab, spec, options)
