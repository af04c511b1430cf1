"""`edgelab studies`: studies known by name, and those that were begun."""

from __future__ import annotations

import argparse

from edgelab.cli.output import print_json, print_table
from edgelab.cli.written import write_to
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.studies import Studies
from edgelab.study_list import COLUMNS, listed_studies, studies_csv
from edgelab.words import UNKNOWN


def run(options: argparse.Namespace) -> int:
    """List them; a broken profile is listed with its problem."""
    lab = Lab(Home.default())
    lab.recover()
    listed = list(listed_studies(Studies(lab)))
    if options.csv:
        write_to(options.csv, studies_csv(listed))
        return 0
    documents = [{column.name: column.value(each) for column in COLUMNS} for each in listed]
    if options.json:
        print_json([{key: v for key, v in each.items() if v is not None} for each in documents])
        return 0
    rows = [[UNKNOWN if v is None else str(v) for v in each.values()] for each in documents]
    print_table([column.name for column in COLUMNS], rows)
    return 0
