"""A run that a command has started: left alone, or followed to its table."""

from __future__ import annotations

import argparse
import signal

from edgelab.cli.follow import follow, print_results
from edgelab.cli.output import print_json, say
from edgelab.cli.written import keep, print_kept
from edgelab.export import conversions_csv, curves_csv, results_csv
from edgelab.lab import Lab
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.results import as_dict, rows_of
from edgelab.run_folder import RunFolder
from edgelab.spec import RunSpec


def attend(lab: Lab, spec: RunSpec, options: argparse.Namespace) -> int:
    """Obey `--detach` and `--json`; returns the exit code of the command."""
    if options.detach:
        return _detached(spec, options.json)
    return _followed(lab, spec, options.json)


def _detached(spec: RunSpec, as_json: bool) -> int:
    if as_json:
        print_json({"run": spec.id, "number": spec.number, "outcome": Outcome.QUEUED})
    else:
        print(f"run {spec.id} is on its way: edgelab watch {spec.id}")
    return 0


def _followed(lab: Lab, spec: RunSpec, as_json: bool) -> int:
    say(f"run {spec.id}; ctrl+c stops it, a closed terminal does not")
    folder = lab.folder(spec.id)
    live = LiveRun(folder, spec)
    try:
        outcome = follow(lab, live)
    except KeyboardInterrupt:
        # A second ctrl+c leaves at once; the supervisor stops the run all the same.
        say("\nstopping (ctrl+c again: do not wait)")
        lab.stop(folder)
        outcome = follow(lab, live)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    record = lab.record(folder)
    name = f"run-{spec.number:04d}-{spec.id}.csv"
    csv_file = keep(lab.home.exports / name, _csv(record, folder))
    if as_json:
        rows = [as_dict(row) for row in rows_of(record)]
        document = {"run": spec.id, "outcome": outcome, "reason": record.reason, "rows": rows}
        more = {"conversions": record.conversions} if record.conversions else {}
        print_json({**document, **more, "warnings": record.warnings, "csv": csv_file})
    else:
        print_results(record)
        print_kept(csv_file)
    return 0 if outcome is Outcome.FINISHED else 1


def _csv(record: RunRecord, folder: RunFolder) -> str:
    """What a run of that task has to tell."""
    if record.training is not None:
        return curves_csv([folder])
    if record.conversions and not record.passes:
        return conversions_csv([record])
    return results_csv([record])
