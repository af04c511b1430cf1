"""`edgelab runs`: all runs; `rebuild`: the index anew; `import`: the runs of another board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from edgelab import words
from edgelab.cli.output import print_json, print_table, say
from edgelab.cli.program import shown
from edgelab.home import Home
from edgelab.importing import Importer
from edgelab.lab import Lab
from edgelab.record import RunRecord

TITLES = ("id", "no.", "run", "outcome", "started", "took", "precisions", "images")


def run(options: argparse.Namespace) -> int:
    """List, rebuild or import."""
    lab = Lab(Home.default())
    if options.action == "import":
        return _import(lab, options)
    lab.recover()
    if options.action == "rebuild":
        return _rebuild(lab, options.json)
    records = lab.runs()
    if options.json:
        print_json([_document(record) for record in records])
    elif not records:
        say("no run yet: try edgelab run quick")
    else:
        _print(records)
    return 0


def _print(records: Sequence[RunRecord]) -> None:
    """The column of boards is there where a run was imported."""
    rows = [_row(record) for record in records]
    origins = [record.spec.origin or "" for record in records]
    if any(origins):
        full = ((*row, origin) for row, origin in zip(rows, origins, strict=True))
        print_table((*TITLES, "board"), list(full))
    else:
        print_table(TITLES, rows)


def _rebuild(lab: Lab, as_json: bool) -> int:
    problems = lab.rebuild()
    count = len(lab.store.all())
    if as_json:
        print_json({"runs": count, "problems": problems})
        return 0
    for problem in problems:
        say(words.plain(problem, 400))
    print(f"{count} runs in the index")
    return 0


def _import(lab: Lab, options: argparse.Namespace) -> int:
    """Exit code 1 where something could not be read."""
    with shown("import") as tell:
        done = Importer(lab.home, options.origin).take(Path(options.folder).expanduser(), tell)
    for problem in done.problems:
        say(words.plain(problem, 400))
    if options.json:
        runs = [_document(record) for record in done.runs]
        print_json({**done._asdict(), "runs": runs})
    else:
        boards = ", ".join(sorted({record.spec.origin or "" for record in done.runs}))
        taken = f"{len(done.runs)} runs of {boards}" if done.runs else "no run"
        print(f"imported: {taken}; {done.studies} studies; here already: {done.known} runs")
    return 1 if done.problems else 0


def _row(record: RunRecord) -> tuple[str, ...]:
    started = "" if record.started is None else words.moment(record.started)
    return (
        record.spec.id,
        str(record.spec.number),
        record.spec.title,
        record.outcome.value,
        started,
        words.duration(record.duration_s),
        " ".join(record.spec.settings.formats),
        words.whole(record.dataset.images if record.dataset else None),
    )


def _document(record: RunRecord) -> dict[str, object]:
    return {
        "run": record.spec.id,
        "number": record.spec.number,
        "title": record.spec.title,
        "origin": record.spec.origin,
        "task": record.spec.settings.task,
        "model": record.spec.settings.model,
        "dataset": record.spec.settings.dataset,
        "precisions": record.spec.settings.formats,
        "outcome": record.outcome,
        "reason": record.reason,
        "created": record.spec.created,
        "started": record.started,
        "ended": record.ended,
        "duration_s": record.duration_s,
    }
