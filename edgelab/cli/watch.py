"""`edgelab watch` and `edgelab replay`: follow a run as it happens, or as it happened."""

from __future__ import annotations

import argparse

from edgelab.cli.follow import follow, play, print_results
from edgelab.cli.output import say
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.reader import LiveRun, Replay
from edgelab.records import Outcome


def run(options: argparse.Namespace) -> int:
    """Show it, then its result table; the exit code is that of the run."""
    lab = Lab(Home.default())
    lab.recover()
    folder = lab.find(options.run)
    if options.command == "replay":
        if not folder.record.is_file():
            raise Problem(f"run {folder.id} is not over: edgelab watch {folder.id}")
        play(Replay(folder, options.speed))
        print_results(lab.record(folder))
        return 0
    try:
        outcome = follow(lab, LiveRun(folder))
    except KeyboardInterrupt:
        say("\nthe run goes on")
        return 0
    print_results(lab.record(folder))
    return 0 if outcome is Outcome.FINISHED else 1
