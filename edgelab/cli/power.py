"""`edgelab power`: where watts come from; `edgelab power import`: an external meter's CSV."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from edgelab import words
from edgelab.boards import recognise
from edgelab.catalogue import Catalogue
from edgelab.cli.output import print_json, print_table, say
from edgelab.energy.config import load
from edgelab.energy.discovery import discover
from edgelab.energy.imported import import_meter
from edgelab.energy.meter_file import Columns
from edgelab.energy.sources import Source, SourceError
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.outcome import close_run

TITLES = ("source", "watts", "method", "scope", "accuracy", "every", "where")
_BETWEEN_READINGS_S = 0.5


def run(options: argparse.Namespace) -> int:
    """List every source with one reading, or import a meter's file."""
    if options.action == "import":
        return _import(options)
    home = Home.default()
    settings = load(home.power_settings)
    for warning in settings.warnings:
        say(warning)
    board = recognise(Catalogue(home).boards())
    model = board.profile.power if board is not None and board.profile is not None else None
    found = discover(Path("/"), settings, model)
    rows = [_row(source) for source in found.sources]
    if options.json:
        absent = [each._asdict() for each in found.absent]
        sources = [dict(zip(TITLES, row, strict=True)) for row in rows]
        print_json({"sources": sources, "absent": absent})
        return 0
    print_table(TITLES, rows)
    for each in found.absent:
        print(f"not there: {words.plain(each.what)}: {words.plain(each.reason)}")
    print(f"settings: {home.power_settings}")
    return 0


def _row(source: Source) -> tuple[str, ...]:
    facts = source.facts
    try:
        reading = _watts(source)
    finally:
        source.close()
    return (
        facts.name,
        reading,
        facts.method,
        facts.scope,
        f"{100 * facts.accuracy:g} %",
        f"{facts.period_s:g} s",
        facts.detail or words.UNKNOWN,
    )


def _watts(source: Source) -> str:
    """One reading in words; counters need two. What went wrong stands in its place."""
    try:
        before, first = time.monotonic(), source.read()
        if first.watts is not None or first.joules is None:
            return words.number(first.watts, 2)
        time.sleep(_BETWEEN_READINGS_S)
        second, after = source.read(), time.monotonic()
    except SourceError as error:
        return str(error)
    return words.number(((second.joules or 0) - first.joules) / (after - before), 2)


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
