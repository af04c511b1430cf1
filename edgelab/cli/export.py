"""`edgelab export`: runs as CSV, and the detections of one as COCO results."""

from __future__ import annotations

import argparse

from edgelab.cli.written import write_to
from edgelab.coco_results import coco_results
from edgelab.export import classes_csv, curves_csv, items_csv, results_csv
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision


def run(options: argparse.Namespace) -> int:
    """Write one file for all the runs asked for, in the order asked."""
    lab = Lab(Home.default())
    folders = _folders(lab, options.runs)
    if options.coco is not None:
        write_to(options.coco, _coco(folders, options.precision))
    else:
        write_to(options.csv, _csv(lab, folders, options))
    return 0


def _coco(folders: list[RunFolder], precision: str | None) -> str:
    if len(folders) != 1:
        raise Problem(f"--coco: {len(folders)} runs: a file of COCO results is of one")
    return coco_results(folders[0], Precision(precision) if precision else None)


def _csv(lab: Lab, folders: list[RunFolder], options: argparse.Namespace) -> str:
    if options.curves:
        return curves_csv(folders)
    if options.class_scores:
        return classes_csv(lab.record(folder) for folder in folders)
    if options.items:
        return items_csv(folders)
    return results_csv(lab.record(folder) for folder in folders)


def _folders(lab: Lab, names: list[str]) -> list[RunFolder]:
    if names == ["all"]:
        return [lab.folder(record.spec.id) for record in lab.runs()]
    return list({folder.id: folder for folder in map(lab.find, names)}.values())
