"""`edgelab power`: where watts come from; `edgelab power import`: an external meter's CSV."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from edgelab import words
from edgelab.cli.output import print_json, print_table, say
from edgelab.energy.config import load
from edgelab.energy.imported import import_meter
from edgelab.energy.meter_file import Columns
from edgelab.energy.sources import Source
from edgelab.energy.survey import look_at, survey
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.outcome import close_run

TITLES = ("source", "watts", "method", "scope", "accuracy", "every", "where")
NO_SOURCE = (
    "no power source yet: add one in the console (w, then +) or in the settings below, or take an "
    "external meter's file into a run with: edgelab power import RUN FILE.csv"
)


def run(options: argparse.Namespace) -> int:
    """List every source with one reading, or import a meter's file."""
    if options.action == "import":
        return _import(options)
    home = Home.default()
    settings = load(home.power_settings)
    for warning in settings.warnings:
        say(warning)
    found = survey(home, settings)
    rows = [_row(source) for source in found.sources]
    if options.json:
        absent = [{"what": each.what, "reason": each.reason} for each in found.absent]
        sources = [dict(zip(TITLES, row, strict=True)) for row in rows]
        print_json({"sources": sources, "absent": absent})
        return 0
    if rows:
        print_table(TITLES, rows)
    else:
        print(NO_SOURCE)
    for each in found.absent:
        print(f"not there: {words.plain(each.what)}: {words.plain(each.reason)}")
    print(f"settings: {home.power_settings}")
    return 0


def _row(source: Source) -> tuple[str, ...]:
    facts = source.facts
    seen = look_at(source)
    return (
        facts.name,
        seen.reason or words.number(seen.watts, 2),
        facts.method,
        facts.scope,
        f"{100 * facts.accuracy:g} %",
        f"{facts.period_s:g} s",
        facts.detail or words.UNKNOWN,
    )


def _import(options: argparse.Namespace) -> int:
    lab = Lab(Home.default())
    folder = lab.find(options.run)
    taken = import_meter(
        folder,
        Path(options.file),
        name=options.name,
        scope=options.scope,
        accuracy=options.accuracy,
        offset_s=options.offset,
        columns=Columns(time=options.time_column, watts=options.watts_column),
    )
    for line in _told(taken.warnings):
        say(line)
    if folder.record.exists():
        close_run(lab.home, folder)
    print(
        f"{taken.readings} readings over {words.duration(taken.covered_s)}, "
        f"mean {taken.mean_watts:.2f} W, now in run {folder.id}"
    )
    return 0


def _told(warnings: tuple[str, ...]) -> Iterator[str]:
    return (f"note: {words.plain(warning)}" for warning in warnings)
