"""`edgelab calibrate`: measure what this board attains."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import msgspec

from edgelab import environment
from edgelab.calibration import Calibration, Rate, calibration_file, read_calibration
from edgelab.cli.output import print_json, print_table, say
from edgelab.cli.program import shown
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.program import run_program
from edgelab.words import duration, number, plain

TITLES = ("test", "threads", "best", "median", "unit", "spread %", "repeats", "how")


def run(options: argparse.Namespace) -> int:
    """Measure in a process of its own, then print what it stored."""
    home = Home.default()
    try:
        measure(home, options.threads)
    finally:
        # A run that was submitted meanwhile found the board taken.
        Lab(home).recover()
    facts = environment.capture()
    calibration = read_calibration(home, facts)
    if calibration is None:
        raise Problem(f"{calibration_file(home, facts)}: the calibration left no file")
    if options.json:
        print_json(_document(calibration, str(calibration_file(home, facts))))
    else:
        _print(calibration)
        print(f"kept in {calibration_file(home, facts)}")
    return 0


def measure(home: Home, threads: int | None) -> None:
    """Run the program that calibrates; raises the Problem that it ended with."""
    arguments = [] if threads is None else ["--threads", str(threads)]
    with shown("measuring") as tell:
        run_program(home, "runners.calibrate", arguments, "measuring", tell)


def _print(calibration: Calibration) -> None:
    print_table(TITLES, map(_row, calibration.rates))
    for test, reason in calibration.left_out.items():
        say(f"left out: {test}: {plain(reason)}")
    for warning in calibration.warnings:
        say(f"warning: {warning}")
    if unsettled := [rate.test for rate in calibration.rates if not rate.settled]:
        say(f"still unsteady when time was up: {', '.join(dict.fromkeys(unsettled))}")
    when = datetime.fromtimestamp(calibration.wall, UTC).astimezone().isoformat(" ", "minutes")
    print(f"{plain(calibration.board)}, {when}, {duration(calibration.duration_s)}")


def _row(rate: Rate) -> tuple[str, ...]:
    best, median = rate.scaled
    return (
        rate.test,
        str(rate.threads),
        number(best, 1),
        number(median, 1),
        rate.resource.unit,
        number(100 * rate.spread, 1),
        str(rate.repeats),
        f"executed as {rate.executed.words}" if rate.executed else rate.how,
    )


def _document(calibration: Calibration, path: str) -> dict[str, object]:
    return {**msgspec.to_builtins(calibration), "file": path}
