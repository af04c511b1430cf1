"""The studies of a lab: begun once, gone on with as often as needed, found again."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from edgelab.detach import start_supervisor
from edgelab.durable import locked, replace_file
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.queue import queued
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.schema import read_json
from edgelab.spec import NO_TERMS, Terms, new_run_id
from edgelab.study import STUDY_VERSION, Study, StudyProfile, StudyRun, expand

RESULTS = frozenset(
    {Outcome.FINISHED, Outcome.FAILED, Outcome.OUT_OF_MEMORY, Outcome.OUT_OF_MEMORY_LIKELY}
)
"""Ends that are answers: doing it again would give the same one."""


@dataclass(frozen=True)
class Studies:
    """The studies of one lab, a file each."""

    lab: Lab

    def begin(self, name: str, profile: StudyProfile, terms: Terms = NO_TERMS) -> Study:
        """Write a new study down and queue all its runs; raises Problem."""
        plan = expand(profile, name)
        study = Study(
            version=STUDY_VERSION,
            id=new_run_id(),
            name=name,
            title=profile.title,
            created=time.time(),
            runs=tuple(StudyRun(new_run_id(), settings) for settings in plan),
            reference=profile.reference,
        )
        path = self.lab.home.studies / f"{study.id}.json"
        replace_file(path, msgspec.json.format(msgspec.json.encode(study)))
        self.go_on(study, terms=terms)
        return study

    def go_on(self, study: Study, retry: bool = False, terms: Terms = NO_TERMS) -> int:
        """Queue each run that has no result yet, in the study's order; returns how many.

        A run that was never written down is, one that ended before its time goes on from its last
        image. Failed ones are results, unless `retry` says to try them again. Safe to repeat.
        """
        if study.origin is not None:
            raise Problem(f"study {study.id} is of {study.origin}: go on with it there")
        records = self.records(study)
        started = 0
        with locked(self.lab.home.studies / ".lock"):
            waiting = {folder.id for folder in queued(self.lab.home)}
            for each in study.runs:
                if each.run not in waiting:
                    started += self._go_on_with(study, each, records.get(each.run), retry, terms)
        if queued(self.lab.home):
            start_supervisor(self.lab.home)
        return started

    def stop(self, study: Study) -> None:
        """Ask all runs of the study that are waiting or running to stop."""
        ours = {each.run for each in study.runs}
        # The last first, so that none of them gets its turn while the others are told.
        for folder in reversed(self.lab.active()):
            if folder.id in ours:
                folder.request_stop()
        self.lab.recover()

    def all(self) -> list[Study]:
        """Every study that can be read, newest first."""
        found = []
        for path in self.lab.home.studies.glob("*.json"):
            with suppress(Problem):
                found.append(read_json(path, Study))
        return sorted(found, key=lambda study: study.created, reverse=True)

    def find(self, given: str) -> Study:
        """The study of this id or beginning of one, the newest of this name, or `last`.

        This board's own come before imported ones.
        """
        studies = sorted(self.all(), key=lambda study: study.origin is not None)
        found = [
            study
            for study in studies
            if given in ("last", study.name)
            or (re.fullmatch("[0-9a-f]{1,8}", given) and study.id.startswith(given))
        ]
        if not found:
            raise Problem(f"no study has the name or an id that begins with {given!r}")
        return found[0]

    def begun(self, name: str, profile: StudyProfile) -> Study | None:
        """The newest study of that name with just these runs, made on this board."""
        plan = expand(profile, name)
        own = (study for study in self.all() if study.origin is None)
        return next((each for each in own if each.name == name and each.plan == plan), None)

    def records(self, study: Study) -> Mapping[str, RunRecord]:
        """What is known of each of its runs, by id; those never written down are missing."""
        ours = {each.run for each in study.runs}
        return {run.spec.id: run for run in self.lab.runs() if run.spec.id in ours}

    def _go_on_with(
        self, study: Study, each: StudyRun, record: RunRecord | None, retry: bool, terms: Terms
    ) -> bool:
        if record is None:
            self.lab.write_down(each.settings, each.title, each.run, terms, study.id)
            return True
        if record.outcome is Outcome.FINISHED or (record.outcome in RESULTS and not retry):
            return False
        self.lab.put_back(self.lab.folder(each.run))
        return True
