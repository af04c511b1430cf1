"""The store and the journals beside their obvious alternatives."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from tinydb import TinyDB

from benchmarks.figures import Section, Spread, Table, with_noise
from benchmarks.homes import fill, numbered, scratch
from edgelab.journal import JournalReader, JournalWriter
from edgelab.record import RunRecord
from edgelab.records import DetectedItem, ItemLine, StageTimes
from edgelab.settings.common import Precision
from edgelab.store import Store

INSERTS = {100: 15, 1_000: 9, 10_000: 3}
"""How often each size is measured."""

LINES = 20_000
SYNCED_LINES = 100
JOURNAL_ROUNDS = 5


def measure(folder: Path) -> Section:
    """Insert and list at three sizes; append to and read a journal."""
    section = Section(
        "Store and journals",
        "A run of three precisions and three thresholds, as it is kept. Ours: a lock, a temporary "
        "file, fsync, rename, fsync of the folder. Beside it TinyDB with its default storage on "
        "the same documents (no lock, no fsync, in place), in turns. List: from nothing to all "
        "records in memory, ours typed and validated, TinyDB's plain dictionaries.",
    )
    rows = tuple(_at(folder, count, inserts) for count, inserts in INSERTS.items())
    titles = (
        "runs", "file MB", "insert s", "TinyDB's", "ours / TinyDB's", "list s", "TinyDB's",
        "rebuild s",
    )  # fmt: skip
    section.tables += [Table(titles, rows), _journal(folder)]
    return section


def _at(folder: Path, count: int, inserts: int) -> tuple[str, ...]:
    home = scratch(folder, f"store-{count}")
    records = fill(home, count)
    store, plain = Store(home), folder / f"plain-{count}.json"
    with TinyDB(plain) as database:
        database.table("runs").insert_multiple(_document(record) for record in records)
    ours, theirs, listed, theirs_listed = [], [], [], []
    for number in range(inserts):
        record = numbered(records[0], count + 1 + number)
        ours.append(_seconds(partial(store.put, record)))
        theirs.append(_seconds(partial(_insert, plain, record)))
        listed.append(_seconds(store.all))
        theirs_listed.append(_seconds(partial(_list, plain)))
    rebuilt = _seconds(store.rebuild)
    mine, other = Spread.of(ours), Spread.of(theirs)
    return (
        f"{count:,}", f"{home.index.stat().st_size / 1e6:.2f}", with_noise(mine, ".4f"),
        with_noise(other, ".4f"), with_noise(mine.over(other), ".2f"),
        with_noise(Spread.of(listed), ".4f"), with_noise(Spread.of(theirs_listed), ".4f"),
        f"{rebuilt:.2f}",
    )  # fmt: skip


def _document(record: RunRecord) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(record.without_classes())
    return plain


def _insert(path: Path, record: RunRecord) -> None:
    with TinyDB(path) as database:
        database.table("runs").insert(_document(record))


def _list(path: Path) -> None:
    with TinyDB(path) as database:
        database.table("runs").all()


def _journal(folder: Path) -> Table:
    items = [_item(index) for index in range(LINES)]
    names = ("append", "append and fsync", "json.dumps, write, flush", "read and validate")
    rounds = [
        (
            _appended(folder / f"{number}.jsonl", items),
            _synced(folder / f"{number}-synced.jsonl", items[:SYNCED_LINES]),
            _plainly_appended(folder / f"{number}-plain.jsonl", items),
            _read(folder / f"{number}.jsonl"),
        )
        for number in range(JOURNAL_ROUNDS)
    ]
    rows = tuple(
        (name, with_noise(Spread.of(values), ".1f"))
        for name, values in zip(names, zip(*rounds, strict=True), strict=True)
    )
    size = (folder / "0.jsonl").stat().st_size / LINES
    return Table(("journal", "µs a line"), rows, f"One line an image, {size:.0f} bytes.")


def _item(index: int) -> DetectedItem:
    return DetectedItem(
        t=1000.0 + index / 100,
        precision=Precision.FP32,
        index=index,
        image=f"{index:06}.png",
        times=StageTimes(0.6123, 0.1021, 1.7811, 0.1511),
        truth={0: 2, 3: 1, 4: 2},
        counts=({0: 2, 3: 1, 4: 2},) * 3,
        detections=((10.25, 20.5, 60.75, 80.12, 0.912345678, 3),) * 5,
    )


def _appended(path: Path, items: Sequence[DetectedItem]) -> float:
    with JournalWriter(path) as journal:
        return _microseconds(items, journal.append)


def _synced(path: Path, items: Sequence[DetectedItem]) -> float:
    with JournalWriter(path) as journal:

        def write(item: DetectedItem) -> None:
            journal.append(item)
            journal.sync()

        return _microseconds(items, write)


def _plainly_appended(path: Path, items: Sequence[DetectedItem]) -> float:
    with path.open("a") as file:

        def write(item: DetectedItem) -> None:
            file.write(json.dumps(msgspec.to_builtins(item, str_keys=True)) + "\n")
            file.flush()

        return _microseconds(items, write)


def _read(path: Path) -> float:
    reader: JournalReader[DetectedItem] = JournalReader(path, ItemLine)
    started = time.perf_counter()
    records = reader.poll()
    return 1e6 * (time.perf_counter() - started) / len(records)


def _microseconds(items: Sequence[DetectedItem], write: Callable[[DetectedItem], None]) -> float:
    started = time.perf_counter()
    for item in items:
        write(item)
    return 1e6 * (time.perf_counter() - started) / len(items)


def _seconds(work: Callable[[], object]) -> float:
    os.sync()  # what others wrote before is not part of it
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
