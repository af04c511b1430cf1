"""The index of all runs: TinyDB, one small document a run, whole after kill -9 and power cuts.

It is an index and nothing more: `Store.rebuild` makes it anew from the run folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from edgelab.durable import locked, remove_leftovers, replace_file
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.record import RunRecord
from edgelab.run_folder import RunFolder
from edgelab.schema import UNREADABLE, SchemaProblem, convert, read_json

INDEX_VERSION = 1

_RUNS = "runs"
_ABOUT = "about"


class _About(msgspec.Struct):
    version: Annotated[int, Meta(ge=INDEX_VERSION, le=INDEX_VERSION)]


class _Index(msgspec.Struct):
    """The file as a whole; both tables have TinyDB's form: documents by their id."""

    about: dict[str, _About]
    runs: dict[str, RunRecord] = {}


class DamagedIndex(Problem):
    """The index file does not hold an index."""


class DurableStorage(Storage):  # type: ignore[misc]  # tinydb is not typed
    """TinyDB's storage on one file that is only ever replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The whole database, None where there is no file yet; raises DamagedIndex."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            tables = msgspec.json.decode(data, type=dict[str, dict[str, dict[str, Any]]])
        except UNREADABLE as error:
            # An empty file too: a crash that leaves one must not pass for "no runs yet".
            raise DamagedIndex(f"{self._path}: not a whole index ({error})") from None
        self._check_version(tables)
        if not all(number.isdecimal() for number in tables.get(_RUNS, {})):
            raise DamagedIndex(f"{self._path}: a run that is no number")
        return tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Replace the database, durably."""
        about = {"1": {"version": INDEX_VERSION}}
        replace_file(self._path, msgspec.json.encode({_ABOUT: about, **data}))

    def _check_version(self, tables: dict[str, dict[str, Any]]) -> None:
        version = tables.get(_ABOUT, {}).get("1", {}).get("version")
        if version != INDEX_VERSION:
            raise DamagedIndex(
                f"{self._path}: index version {version!r}, this edgelab reads {INDEX_VERSION}"
            )


class Store:
    """All runs that are over. Reading takes no lock; each change is made under the index lock."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def all(self) -> list[RunRecord]:
        """Every record, newest first; a damaged index is rebuilt first."""
        try:
            records = self._decoded()
        except UNREADABLE:
            records = self._converted()
        return sorted(records, key=lambda record: record.spec.number, reverse=True)

    def put(self, record: RunRecord) -> None:
        """Insert the record, or replace the one of the same run."""
        with locked(self._home.index_lock):
            try:
                self._write(record)
            except DamagedIndex:
                self._rebuild_locked()
                self._write(record)

    def remove(self, run_id: str) -> None:
        """Forget a run; nothing happens when it is not there."""
        with locked(self._home.index_lock), self._table() as table:
            table.remove(lambda document: document["spec"]["id"] == run_id)

    def rebuild(self) -> list[str]:
        """Make the index anew from the run folders; returns what could not be read, a line each."""
        with locked(self._home.index_lock):
            return self._rebuild_locked()

    def sweep(self) -> None:
        """Remove what writers that were killed in mid-write left beside the index."""
        with locked(self._home.index_lock):
            remove_leftovers(self._home.index)

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the index does: (inode, modification time in ns), (0, 0) without one."""
        try:
            status = os.stat(self._home.index)  # noqa: PTH116 - called once a second
        except FileNotFoundError:
            return (0, 0)
        return (status.st_ino, status.st_mtime_ns)

    def _decoded(self) -> list[RunRecord]:
        """All records straight from the bytes; raises MsgspecError where anything is unusual.

        Three times as fast as through TinyDB, in half the memory: the console reads the index
        whenever it changes.
        """
        try:
            data = self._home.index.read_bytes()
        except FileNotFoundError:
            return []
        return list(msgspec.json.decode(data, type=_Index).runs.values())

    def _converted(self) -> list[RunRecord]:
        """The same the slow way; what cannot be read is first made anew from the run folders."""
        try:
            return self._documents_as_records()
        except (DamagedIndex, SchemaProblem):
            self.rebuild()
            return self._documents_as_records()

    def _documents_as_records(self) -> list[RunRecord]:
        source = str(self._home.index)
        return [convert(dict(each), RunRecord, source) for each in self._documents()]

    def _documents(self) -> list[dict[str, Any]]:
        with self._table() as table:
            return table.all()  # type: ignore[no-any-return]

    @contextmanager
    def _table(self) -> Iterator[Table]:
        with TinyDB(self._home.index, storage=DurableStorage) as database:
            yield database.table(_RUNS, cache_size=0)

    def _write(self, record: RunRecord) -> None:
        with self._table() as table:
            table.upsert(_document(record))

    def _rebuild_locked(self) -> list[str]:
        problems: list[str] = []
        documents = {}
        for path in sorted(self._home.runs.glob("*/record.json")):
            try:
                record = read_record(RunFolder(path.parent))
            except SchemaProblem as problem:
                problems.append(str(problem))
                continue
            document = _document(record)
            documents[str(document.doc_id)] = dict(document)
        DurableStorage(self._home.index).write({_RUNS: documents})
        return problems


def _document(record: RunRecord) -> Document:
    plain = msgspec.to_builtins(record.without_classes())
    return Document(plain, doc_id=int(record.spec.id, 16))


def read_record(folder: RunFolder) -> RunRecord:
    """The whole record of a run that is over, rows a class included; raises SchemaProblem."""
    record = read_json(folder.record, RunRecord)
    if record.spec.id != folder.id:
        raise SchemaProblem(
            f"{folder.record}: id = {record.spec.id!r}, but the folder is {folder.id}"
        )
    return record
