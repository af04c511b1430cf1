"""Bringing runs of another lab into this one, to compare boards: the lab's folder, or a run's.

A run comes with all that was recorded of it, under its own id and a new number. It says which
board it was made on (`RunSpec.origin`): it can be shown, replayed, compared and exported, but
neither gone on with here nor taken for what this board does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgelab.durable import locked, replace_file, sync_folder
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.program import Tell
from edgelab.queue import next_number
from edgelab.record import RunRecord
from edgelab.run_folder import RunFolder
from edgelab.schema import read_json
from edgelab.store import Store, read_record
from edgelab.study import Study
from edgelab.words import plain

_Run = tuple[RunFolder, RunRecord]


class Imported(NamedTuple):
    """What came of it. `known`: runs that were here already; `problems`: a line each."""

    runs: tuple[RunRecord, ...]
    studies: int
    known: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Importer:
    """Into the lab at `home`. `origin`: what the board is called here, else by its own name."""

    home: Home
    origin: str | None = None

    def take(self, source: Path, tell: Tell) -> Imported:
        """All runs in `source` that are over, oldest first; what cannot be read costs itself only.

        Safe to repeat: runs that are here already are passed over. Raises Problem where `source`
        is no lab and no run, OSError where this lab cannot be written.
        """
        folders = _run_folders(source)
        with locked(self.home.import_lock):
            shutil.rmtree(self.home.importing, ignore_errors=True)  # of one that was killed
            self._index_what_lacks()
            new = [each for each in folders if not (self.home.runs / each.id).exists()]
            readable, problems = _readable(new)
            taken = []
            for place, (folder, record) in enumerate(readable, start=1):
                tell(f"{place} of {len(readable)}")
                try:
                    taken.append(self._take_run(folder, record))
                except Problem as problem:
                    problems.append(str(problem))
            studies, unread = _studies(source, taken)
            count = sum(map(self._take_study, studies))
        return Imported(tuple(taken), count, len(folders) - len(new), (*problems, *unread))

    def _index_what_lacks(self) -> None:
        """An import that was killed may have left a whole run without its index entry."""
        store = Store(self.home)
        known = {record.spec.id for record in store.all()}
        for path in sorted(self.home.runs.glob("*/record.json")):
            folder = RunFolder(path.parent)
            with suppress(Problem):
                if folder.id not in known and (record := read_record(folder)).spec.origin:
                    store.put(record)

    def _take_run(self, folder: RunFolder, record: RunRecord) -> RunRecord:
        """Complete in a place of its own before it gets its name here, its index entry last."""
        spec = msgspec.structs.replace(
            record.spec, number=next_number(self.home), origin=self._origin_of(record)
        )
        record = msgspec.structs.replace(record, spec=spec)
        copy = RunFolder(self.home.importing / folder.id)
        try:
            # What was asked of it there, and what it did when it ended, say nothing here.
            besides = {folder.stop_request, folder.resume_request, folder.stage}
            _copy_folder(folder.path, copy.path, besides)
            copy.write_spec(spec)
            replace_file(copy.record, msgspec.json.encode(record))
            self.home.runs.mkdir(parents=True, exist_ok=True)
            copy.path.rename(self.home.runs / folder.id)
        finally:
            shutil.rmtree(self.home.importing, ignore_errors=True)
        sync_folder(self.home.runs)
        Store(self.home).put(record)
        return record

    def _take_study(self, study: Study) -> bool:
        path = self.home.studies / f"{study.id}.json"
        if path.exists():
            return False
        replace_file(path, msgspec.json.format(msgspec.json.encode(study)))
        return True

    def _origin_of(self, record: RunRecord) -> str:
        facts = record.environment
        name = self.origin or record.spec.origin or facts.get("board") or facts.get("cpu")
        return plain(name or "another board", 80)


def _run_folders(source: Path) -> list[RunFolder]:
    """Of a lab's folder, of its folder `runs`, or of one run."""
    if (source / "spec.json").is_file():
        return [RunFolder(source.absolute())]
    runs = source / "runs" if (source / "runs").is_dir() else source
    found = [RunFolder(path.parent.absolute()) for path in sorted(runs.glob("*/spec.json"))]
    if not found:
        raise Problem(
            f"{source}: no run in it; expected a lab's folder (EDGELAB_HOME of the other board, "
            "with runs/ in it) or a run's"
        )
    return found


def _readable(folders: Iterable[RunFolder]) -> tuple[list[_Run], list[str]]:
    """Those that are over with their records, in the order they were made; why not, of the others.

    An id that is none is refused with the record: no name of another lab becomes a path here.
    """
    good, problems = [], []
    for folder in folders:
        if not folder.record.is_file():
            problems.append(f"{folder.path}: not over; end it there, or edgelab runs rebuild there")
            continue
        try:
            good.append((folder, read_record(folder)))
        except Problem as problem:
            problems.append(str(problem))
    return sorted(good, key=lambda run: run[1].spec.number), problems


def _studies(source: Path, taken: Iterable[RunRecord]) -> tuple[list[Study], list[str]]:
    """The studies that these runs are part of, of the same board; why not, of what is broken."""
    studies, problems = [], []
    origins = {run.spec.study: run.spec.origin for run in taken if run.spec.study}
    for identity, origin in origins.items():
        path = source / "studies" / f"{identity}.json"
        if path.is_file():
            try:
                studies.append(msgspec.structs.replace(read_json(path, Study), origin=origin))
            except Problem as problem:
                problems.append(str(problem))
    return studies, problems


def _copy_folder(source: Path, target: Path, besides: Collection[Path]) -> None:
    """All files and folders `besides` some; what is neither is left out: a link may lead anywhere.

    Raises Problem where a file cannot be read, OSError where one cannot be written.
    """
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_symlink() or path in besides:
            continue
        if path.is_dir():
            _copy_folder(path, target / path.name, besides)
        elif path.is_file():
            _copy_file(path, target / path.name)


def _copy_file(source: Path, target: Path) -> None:
    """Durably, as everything in a lab is."""
    try:
        file = source.open("rb")
    except OSError as error:
        raise Problem(f"{source}: cannot be read ({error.strerror})") from None
    with file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        os.fsync(copy.fileno())
