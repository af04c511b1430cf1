"""`edgelab references`: the published tables known by name."""

from __future__ import annotations

import argparse

import msgspec

from edgelab.catalogue import Catalogue, Entry
from edgelab.cli.output import print_json, print_table
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.reference import Reference
from edgelab.references import data_sha256, read_table
from edgelab.words import UNKNOWN

TITLES = ("name", "title", "task", "version", "rows", "problem")


def run(options: argparse.Namespace) -> int:
    """List them; a broken one is listed with its problem."""
    documents = [_document(entry) for entry in Catalogue(Home.default()).references()]
    if options.json:
        print_json(documents)
    else:
        print_table(TITLES, [_row(document) for document in documents])
    return 0


def _document(entry: Entry[Reference]) -> dict[str, object]:
    document: dict[str, object] = {"name": entry.name, "problem": entry.problem}
    if entry.profile is None:
        return document
    document |= msgspec.to_builtins(entry.profile)
    try:
        return document | {"rows": len(read_table(entry).rows), "sha256": data_sha256(entry)}
    except Problem as problem:
        return document | {"problem": str(problem)}


def _row(document: dict[str, object]) -> list[str]:
    return [str(document.get(key) or (UNKNOWN if key != "problem" else "")) for key in TITLES]
