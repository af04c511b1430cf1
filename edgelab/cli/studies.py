"""`edgelab studies`: studies known by name, and those that were begun."""

from __future__ import annotations

import argparse
from typing import Any

from edgelab.catalogue import Catalogue, Entry
from edgelab.cli.output import print_json, print_table
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.studies import Studies
from edgelab.study import StudyProfile, expand
from edgelab.study_progress import StudyProgress
from edgelab.words import UNKNOWN

TITLES = ("name", "id", "title", "runs", "done", "of", "problem")


def run(options: argparse.Namespace) -> int:
    """List them; a broken profile is listed with its problem."""
    lab = Lab(Home.default())
    lab.recover()
    studies = Studies(lab)
    documents = [_known(entry) for entry in Catalogue(lab.home).studies()]
    for study in studies.all():
        progress = StudyProgress.of(study, studies.records(study))
        documents.append(
            {
                "name": study.name,
                "id": study.id,
                "title": study.title,
                "runs": len(study.runs),
                "done": progress.done,
                "of": study.cells,
            }
        )
    if options.json:
        print_json(documents)
    else:
        print_table(TITLES, [_row(document) for document in documents])
    return 0


def _known(entry: Entry[StudyProfile]) -> dict[str, Any]:
    document: dict[str, Any] = {"name": entry.name, "problem": entry.problem}
    if entry.profile is not None:
        document["title"] = entry.profile.title
        try:
            document["runs"] = len(expand(entry.profile, entry.name))
        except Problem as problem:
            document["problem"] = str(problem)
    return document


def _row(document: dict[str, Any]) -> list[str]:
    cells = [document.get(title) for title in TITLES[:-1]]
    shown = [UNKNOWN if cell is None else str(cell) for cell in cells]
    return [*shown, str(document.get("problem") or "")]
