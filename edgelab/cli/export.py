"""`edgelab export`: runs as CSV."""

from __future__ import annotations

import argparse

from edgelab.cli.written import write_to
from edgelab.export import classes_csv, curves_csv, items_csv, results_csv
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.run_folder import RunFolder


def run(options: argparse.Namespace) -> int:
    """Write one file for all the runs asked for, in the order asked."""
    lab = Lab(Home.default())
    folders = _folders(lab, options.runs)
    if options.curves:
        text = curves_csv(folders)
    elif options.class_scores:
        text = classes_csv(lab.record(folder) for folder in folders)
    elif options.items:
        text = items_csv(folders)
    else:
        text = results_csv(lab.record(folder) for folder in folders)
    write_to(options.csv, text)
    return 0


def _folders(lab: Lab, names: list[str]) -> list[RunFolder]:
    if names == ["all"]:
        return [lab.folder(record.spec.id) for record in lab.runs()]
    return list({folder.id: folder for folder in map(lab.find, names)}.values())
