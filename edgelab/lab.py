"""What console and command line do with a lab: submit, list, find, stop, delete."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass

from edgelab.detach import start_supervisor
from edgelab.durable import locked, try_locked
from edgelab.home import Home
from edgelab.outcome import close_run
from edgelab.problem import Problem
from edgelab.queue import enqueue, next_number, queued
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.resume import resume
from edgelab.run_folder import RunFolder
from edgelab.schema import SchemaProblem
from edgelab.settling import settle_queue
from edgelab.spec import NO_TERMS, SPEC_VERSION, RunSpec, Settings, Terms, new_run_id
from edgelab.store import Store, read_record


@dataclass(frozen=True)
class Lab:
    """One lab, by its home. Several consoles may use it at once."""

    home: Home

    @property
    def store(self) -> Store:
        """The index of the runs that are over."""
        return Store(self.home)

    def submit(self, settings: Settings, title: str, terms: Terms = NO_TERMS) -> RunSpec:
        """Write a new run down, queue it, and see that a supervisor lives."""
        spec = self.write_down(settings, title, new_run_id(), terms)
        start_supervisor(self.home)
        return spec

    def write_down(
        self,
        settings: Settings,
        title: str,
        run_id: str,
        terms: Terms = NO_TERMS,
        study: str | None = None,
    ) -> RunSpec:
        """Write a new run down and queue it; no supervisor is started for it."""
        spec = RunSpec(
            version=SPEC_VERSION,
            id=run_id,
            number=next_number(self.home),
            title=title,
            created=time.time(),
            settings=settings,
            time_limit_s=terms.time_limit_s,
            cool_down=terms.cool_down,
            governor=terms.governor,
            study=study,
        )
        folder = self.folder(spec.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_spec(spec)
        enqueue(self.home, spec.number, spec.id)
        return spec

    def recover(self) -> None:
        """At each start: runs that nobody ended are ended, waiting ones get a supervisor again."""
        if not queued(self.home):
            return
        with try_locked(self.home.supervisor_lock) as nobody_lives:
            if nobody_lives:
                settle_queue(self.home)
        if nobody_lives and queued(self.home):
            start_supervisor(self.home)

    def folder(self, run_id: str) -> RunFolder:
        """The folder of a run by its full id."""
        return RunFolder(self.home.runs / run_id)

    def active(self) -> list[RunFolder]:
        """Runs that are waiting or running, first in line first."""
        return [folder for folder in queued(self.home) if _readable(folder)]

    def runs(self) -> list[RunRecord]:
        """Every run, newest first; those that are not over as far as they have come."""
        over = self.store.all()
        known = {record.spec.id for record in over}
        active = [f for f in self.active() if f.id not in known]
        return [*(_so_far(folder) for folder in reversed(active)), *over]

    def find(self, prefix: str) -> RunFolder:
        """The run whose id begins with `prefix`, whose number it is (`#12`, `12`), or `last`.

        Raises Problem where no run or more than one is meant.
        """
        if prefix == "last":
            return self._newest()
        names = (path.parent.name for path in self.home.runs.glob("*/spec.json"))
        ids = sorted(name for name in names if re.fullmatch("[0-9a-f]{8}", name))
        found = (
            [] if prefix.startswith("#") else [i for i in ids if prefix and i.startswith(prefix)]
        )
        digits = prefix.removeprefix("#")
        if digits.isdecimal():
            found = sorted({*found, *self._numbered(int(digits))})
        if not found:
            raise Problem(f"no run has the number or an id that begins with {prefix!r}")
        if len(found) > 1:
            raise Problem(
                f"{prefix!r} could be any of {', '.join(found[:5])}: add a character, or #number"
            )
        return self.folder(found[0])

    def record(self, folder: RunFolder) -> RunRecord:
        """The whole record of a run; of one that is not over, as far as it has come."""
        if folder.record.is_file():
            return read_record(folder)
        return _so_far(folder)

    def stop(self, folder: RunFolder) -> None:
        """Ask a run to stop; its supervisor does it within a second."""
        if folder.record.is_file():
            raise Problem(f"run {folder.id} is over already")
        folder.request_stop()
        self.recover()

    def resume(self, folder: RunFolder) -> None:
        """Go on with a run that ended before its time, from where it stood."""
        self.put_back(folder)
        start_supervisor(self.home)

    def put_back(self, folder: RunFolder) -> None:
        """The same, but no supervisor is started for it."""
        resume(self.home, folder)

    def delete(self, folder: RunFolder) -> None:
        """Remove a run that is over, its folder and its line in the index.

        The folder leaves its place whole: a rebuild after a crash finds all of the run or nothing.
        """
        with locked(self.home.resume_lock):
            if not folder.record.is_file():
                raise Problem(f"run {folder.id} is not over: stop it first")
            self.store.remove(folder.id)
            shutil.rmtree(self.home.deleting, ignore_errors=True)  # what a crash left of another
            self.home.deleting.mkdir(exist_ok=True)
            folder.path.rename(self.home.deleting / folder.id)
            shutil.rmtree(self.home.deleting)

    def rebuild(self) -> list[str]:
        """Make the index anew; runs that ended without a whole record get it from their journals.

        Returns what could not be read, a line each.
        """
        problems = []
        waiting = {folder.id for folder in queued(self.home)}
        for path in sorted(self.home.runs.glob("*/spec.json")):
            folder = RunFolder(path.parent)
            if folder.id in waiting or _has_whole_record(folder):
                continue
            try:
                close_run(self.home, folder)
            except Problem as problem:
                problems.append(str(problem))
        return problems + self.store.rebuild()

    def given_up(self) -> list[RunFolder]:
        """Runs that wait in no queue and have no record: their end could not be written down."""
        waiting = {folder.id for folder in queued(self.home)}
        folders = (RunFolder(path.parent) for path in sorted(self.home.runs.glob("*/spec.json")))
        return [each for each in folders if each.id not in waiting and not each.record.is_file()]

    def _numbered(self, number: int) -> list[str]:
        return [record.spec.id for record in self.runs() if record.spec.number == number]

    def _newest(self) -> RunFolder:
        runs = self.runs()
        if not runs:
            raise Problem("there is no run yet: try edgelab run quick")
        newest = max(runs, key=lambda record: record.spec.number)
        return self.folder(newest.spec.id)


def _has_whole_record(folder: RunFolder) -> bool:
    try:
        read_record(folder)
    except SchemaProblem:
        return False
    return True


def _readable(folder: RunFolder) -> bool:
    try:
        folder.read_spec()
    except SchemaProblem:
        return False
    return True


def _so_far(folder: RunFolder) -> RunRecord:
    live = LiveRun(folder)
    live.advance()
    return live.projection.record()
