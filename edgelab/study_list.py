"""All studies in one list: those known by name, and those that were begun with how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from edgelab.catalogue import Catalogue, Entry
from edgelab.export import csv_text
from edgelab.problem import Problem
from edgelab.records import Outcome
from edgelab.results import Column
from edgelab.studies import Studies
from edgelab.study import Study, StudyProfile, expand
from edgelab.study_progress import StudyProgress


class ListedStudy(NamedTuple):
    """A profile, or a study that was begun."""

    name: str
    title: str
    profile: Entry[StudyProfile] | None = None
    progress: StudyProgress | None = None

    @property
    def study(self) -> Study | None:
        """What was begun."""
        return self.progress.study if self.progress else None

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return self.study.id if self.study else f"profile {self.name}"

    @property
    def state(self) -> str:
        """In two words."""
        if self.progress is None:
            return "broken" if self.problem else "ready to begin"
        if self.progress.done == self.progress.study.cells:
            return "finished"
        on = any(cell.outcome is Outcome.RUNNING for cell in self.progress.cells)
        waits = any(cell.outcome is Outcome.QUEUED for cell in self.progress.cells)
        return "running" if on else "waiting" if waits else "incomplete"

    @property
    def runs(self) -> int | None:
        """How many runs its matrix is; None where that cannot be told."""
        if self.study is not None:
            return len(self.study.runs)
        expanded = self._expanded()
        return expanded if isinstance(expanded, int) else None

    @property
    def problem(self) -> str | None:
        """Why it cannot be begun."""
        if self.profile is None:
            return None
        expanded = self._expanded()
        return expanded if isinstance(expanded, str) else None

    def _expanded(self) -> int | str:
        """The runs of a profile, or why there are none."""
        if self.profile is None or self.profile.profile is None:
            return (self.profile and self.profile.problem) or "no profile"
        try:
            return len(expand(self.profile.profile, self.name))
        except Problem as problem:
            return str(problem)


def listed_studies(studies: Studies) -> Iterator[ListedStudy]:
    """The profiles, then what was begun, the newest first; raises Problem where one is damaged."""
    for entry in Catalogue(studies.lab.home).studies():
        title = entry.profile.title if entry.profile else entry.problem or ""
        yield ListedStudy(entry.name, title, entry)
    for study in studies.all():
        progress = StudyProgress.of(study, studies.records(study))
        yield ListedStudy(study.name, study.title, None, progress)


COLUMNS: tuple[Column[ListedStudy], ...] = (
    Column("name", lambda r: r.name),
    Column("id", lambda r: r.study.id if r.study else None),
    Column("title", lambda r: r.title if r.profile is None or r.profile.profile else None),
    Column("state", lambda r: r.state),
    Column("runs", lambda r: r.runs),
    Column("done", lambda r: r.progress.done if r.progress else None),
    Column("of", lambda r: r.study.cells if r.study else None),
    Column("origin", lambda r: r.study.origin if r.study else None),
    Column("problem", lambda r: r.problem),
)


def studies_csv(listed: Iterable[ListedStudy]) -> str:
    """One row a study; `done` of `of` configurations have a result."""
    rows = ([column.value(each) for column in COLUMNS] for each in listed)
    return csv_text([column.name for column in COLUMNS], rows)
