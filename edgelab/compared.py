"""What can be compared, by name: a run, several, a study, a published table."""

from __future__ import annotations

from collections.abc import Sequence

from edgelab.catalogue import Catalogue
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.record import RunRecord
from edgelab.references import PREFIX, read_table
from edgelab.result_table import ResultTable, table_of_runs
from edgelab.scored import scored_rows
from edgelab.studies import Studies
from edgelab.study import Study

STUDY_PREFIX = "study:"


def table_named(lab: Lab, name: str) -> ResultTable:
    """The table of `reference:<name>`, of `study:<id or name>`, or of runs: `last`, a number, an
    id, several with commas.

    Raises Problem where nothing is called so.
    """
    if name.startswith(PREFIX):
        return _published(Catalogue(lab.home), name.removeprefix(PREFIX))
    if name.startswith(STUDY_PREFIX):
        studies = Studies(lab)
        return study_table(studies, studies.find(name.removeprefix(STUDY_PREFIX)))
    return runs_table([lab.record(lab.find(each)) for each in name.split(",")])


def runs_table(records: Sequence[RunRecord]) -> ResultTable:
    """Runs as one table, called by their numbers."""
    numbers = [f"#{each.spec.number}" for each in records]
    title = ", ".join(f"run {number}" for number in numbers)
    return table_of_runs(title, records, name=",".join(numbers))


def study_table(studies: Studies, study: Study) -> ResultTable:
    """The rows of all its runs, in its order."""
    records = studies.records(study)
    own = [records[each.run] for each in study.runs if each.run in records]
    return table_of_runs(f"study {study.id}: {study.title}", own, f"{STUDY_PREFIX}{study.id}")


def _published(catalogue: Catalogue, name: str) -> ResultTable:
    entry = catalogue.reference(name)
    if entry is None:
        known = ", ".join(each.name for each in catalogue.references())
        raise Problem(f"no reference is called {name!r}; there are {known}")
    return read_table(entry)


def has_result(record: RunRecord) -> bool:
    """Whether it came far enough to compare: a pass that measured, or scores."""
    return any(summary.images for summary in record.passes) or any(scored_rows(record))
