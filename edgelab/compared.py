"""What can be compared, by name: a run, several, a study, a published table."""

from __future__ import annotations

from edgelab.catalogue import Catalogue
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.references import PREFIX, read_table
from edgelab.result_table import ResultTable, table_of_runs


def table_named(lab: Lab, name: str) -> ResultTable:
    """The table of `reference:<name>`, or of runs: `last`, a number, an id, several with commas.

    Raises Problem where nothing is called so.
    """
    if name.startswith(PREFIX):
        return _published(Catalogue(lab.home), name.removeprefix(PREFIX))
    records = [lab.record(lab.find(each)) for each in name.split(",")]
    title = ", ".join(f"run #{record.spec.number}" for record in records)
    return table_of_runs(title, records)


def _published(catalogue: Catalogue, name: str) -> ResultTable:
    entry = catalogue.reference(name)
    if entry is None:
        known = ", ".join(each.name for each in catalogue.references())
        raise Problem(f"no reference is called {name!r}; there are {known}")
    return read_table(entry)
