"""Published tables, read and checked: a profile and the CSV file with its figures beside it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from edgelab.catalogue import Entry
from edgelab.problem import Problem
from edgelab.reference import Reference, ReferenceColumn, ReferenceFacts, Role
from edgelab.result_table import FIGURES, Pairing, Parts, ResultTable, TableRow, with_share

PREFIX = "reference:"
"""What a reference's name is written with on the command line."""


def read_table(entry: Entry[Reference]) -> ResultTable:
    """The table of a reference; raises Problem naming file, row, column and value."""
    reference = entry.require()
    _check_figures(entry.path, reference)
    path = entry.path.parent / reference.file
    rows = tuple(
        _row(entry.name, reference, cells, f"{path}: row {number}")
        for number, cells in enumerate(_cells(path, reference), start=1)
    )
    pairings = tuple(Pairing(p.own, p.published, p.same, p.difference) for p in reference.pairs)
    name = f"{PREFIX}{entry.name}"
    return ResultTable(name, rows, pairings, published=True, name=name)


def data_sha256(entry: Entry[Reference]) -> str:
    """The hash of the figures: two labs that name it speak of the same table."""
    import hashlib  # brings in OpenSSL, which the console has no room for

    return hashlib.sha256(_read(entry.path.parent / entry.require().file)).hexdigest()


def _check_figures(path: Path, reference: Reference) -> None:
    known = {figure.name for figure in FIGURES}
    for column in reference.columns:
        name = column.figure or column.name
        if column.role == "figure" and name not in known:
            raise Problem(
                f"{path}: column {column.name}: no figure is called {name}; "
                f"there are {', '.join(sorted(known))}"
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(f"{path}: cannot be read ({error.strerror})") from None


def _cells(path: Path, reference: Reference) -> list[dict[str, str]]:
    try:
        text = _read(path).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{path}: not valid CSV ({error})") from None
    expected = [column.name for column in reference.columns]
    if list(reader.fieldnames or ()) != expected:
        raise Problem(f"{path}: its columns must be {', '.join(expected)}, as the profile says")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise Problem(f"{path}: row {number}: needs {len(expected)} cells")
    return rows


def _row(name: str, reference: Reference, cells: Mapping[str, str], where: str) -> TableRow:
    by_role: dict[Role, list[ReferenceColumn]] = {}
    for column in reference.columns:
        by_role.setdefault(column.role, []).append(column)

    def text(role: Role) -> str | None:
        columns = by_role.get(role)
        return cells[columns[0].name] or None if columns else None

    threshold = text("threshold")
    figures = {
        column.figure or column.name: _figure(cells[column.name], f"{where}: {column.name}")
        for column in by_role.get("figure", ())
    }
    facts = reference.facts
    return TableRow(
        source=name,
        model=_model(cells[by_role["model"][0].name], where),
        precision=text("precision"),
        threshold=None if threshold is None else _figure(threshold, f"{where}: threshold"),
        figures=with_share({name: value for name, value in figures.items() if value is not None}),
        facts=facts.by_name(),
        variant={c.name: cells[c.name] for c in by_role.get("variant", ()) if cells[c.name]},
        alike={
            c.name: own
            for c in by_role.get("variant", ())
            if (own := c.own.get(cells[c.name])) is not None
        },
        parts=_parts(facts),
    )


def _model(text: str, where: str) -> str:
    if not text:
        raise Problem(f"{where}: names no model")
    return text


def _figure(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise Problem(f"{where} = {text!r}: must be a number from 0 on, or empty")
    return value


def _parts(facts: ReferenceFacts) -> Parts | None:
    """A table tells how many sub-datasets there are, not that all are of one size."""
    if facts.sub_datasets is None or facts.images is None:
        return None
    return Parts(facts.sub_datasets, facts.images, even=False)
