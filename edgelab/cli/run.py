"""`edgelab run`: start a run and follow it."""

from __future__ import annotations

import argparse
import importlib

from edgelab.catalogue import Catalogue
from edgelab.cli.started import attend
from edgelab.fitting import refuse_what_does_not_fit, this_board
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.spec import CoolDown, Terms


def run(options: argparse.Namespace) -> int:
    """Submit the run; unless detached, follow it, print its table and where its CSV lies."""
    lab = Lab(Home.default())
    task = importlib.import_module(f"edgelab.cli.tasks.{options.task}")
    settings, title = task.settings(options, Catalogue(lab.home))
    lab.recover()
    if not options.force:
        refuse_what_does_not_fit([settings], lab.home, this_board(lab))
    cool_down = None if options.cool_down is None else CoolDown(limit_s=options.cool_down)
    terms = Terms(options.time_limit, cool_down, options.governor)
    spec = lab.submit(settings, title, terms)
    return attend(lab, spec, options)
