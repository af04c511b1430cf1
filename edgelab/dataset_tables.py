"""The datasets known by name, and what was found in one, as tables."""

from __future__ import annotations

from collections.abc import Iterable

from edgelab.catalogue import DatasetProfile, Entry, LocalDataset
from edgelab.dataset_report import ClassContent, DatasetReport, Finding
from edgelab.export import csv_text
from edgelab.results import Column
from edgelab.words import UNKNOWN

KNOWN: dict[bool | None, str] = {None: UNKNOWN, True: "knows it", False: "does not know it"}
"""Whether a model knows a class, in words."""

FINDING_TITLES = ("dataset", "split", "kind", "fault", "where", "what")
CLASS_TITLES = ("dataset", "split", "class", "images", "objects", "crowds", "model_knows")


def where(entry: Entry[DatasetProfile]) -> str | None:
    """Where its data lie; None of a broken profile."""
    profile = entry.profile
    if profile is None:
        return None
    return profile.path if isinstance(profile, LocalDataset) else "drawn on this machine"


COLUMNS: tuple[Column[Entry[DatasetProfile]], ...] = (
    Column("name", lambda e: e.name),
    Column("title", lambda e: e.profile.title if e.profile else None),
    Column("where", where),
    Column("split", lambda e: e.profile.default_split if e.profile else None),
    Column("problem", lambda e: e.problem),
)


def datasets_csv(entries: Iterable[Entry[DatasetProfile]]) -> str:
    """One row a dataset; a broken profile tells its problem."""
    rows = ([column.value(entry) for column in COLUMNS] for entry in entries)
    return csv_text([column.name for column in COLUMNS], rows)


def findings_csv(report: DatasetReport, findings: Iterable[Finding]) -> str:
    """One row a finding."""
    head = (report.name, report.split)
    rows = ((*head, f.kind.value, int(f.kind.is_fault), f.where, f.what) for f in findings)
    return csv_text(FINDING_TITLES, rows)


def classes_csv(report: DatasetReport, classes: Iterable[ClassContent]) -> str:
    """One row a class as a run counts it."""
    head = (report.name, report.split)
    rows = (
        (*head, c.name, c.images, c.objects, c.crowds, None if c.known is None else int(c.known))
        for c in classes
    )
    return csv_text(CLASS_TITLES, rows)
