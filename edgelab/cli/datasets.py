"""`edgelab datasets`: the datasets known by name."""

from __future__ import annotations

import argparse

from edgelab.catalogue import Catalogue, DatasetProfile, Entry, LocalDataset
from edgelab.cli.output import print_json, print_table
from edgelab.home import Home
from edgelab.words import UNKNOWN

TITLES = ("name", "title", "where", "split", "problem")


def run(options: argparse.Namespace) -> int:
    """List them; a broken profile is listed with its problem."""
    datasets = [_document(entry) for entry in Catalogue(Home.default()).datasets()]
    if options.json:
        print_json(datasets)
    else:
        rows = [[str(dataset.get(title) or UNKNOWN) for title in TITLES] for dataset in datasets]
        print_table(TITLES, rows)
    return 0


def _document(entry: Entry[DatasetProfile]) -> dict[str, str | None]:
    profile = entry.profile
    if profile is None:
        return {"name": entry.name, "problem": entry.problem}
    where = profile.path if isinstance(profile, LocalDataset) else "drawn on this machine"
    return {
        "name": entry.name,
        "title": profile.title,
        "where": where,
        "split": profile.default_split,
        "problem": None,
    }
