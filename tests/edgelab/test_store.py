from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgelab import durable
from edgelab.home import Home
from edgelab.launch import child_environment
from edgelab.outcome import close_run
from edgelab.store import DamagedIndex, DurableStorage, Store
from tests.recorded import life_of, make_item, make_record, make_spec, write_run

KILLS = 200
REAL_FDOPEN = os.fdopen


def test_what_is_put_is_found_newest_first(home: Home) -> None:
    store = Store(home)
    for number in (1, 3, 2):
        store.put(make_record(number))
    store.put(make_record(2))
    assert [record.spec.number for record in store.all()] == [3, 2, 1]
    assert store.all()[0] == make_record(3).without_classes()


def test_no_index_means_no_runs_but_an_empty_file_is_damage(home: Home) -> None:
    assert Store(home).all() == []
    home.root.mkdir(parents=True)
    home.index.write_bytes(b"")
    with pytest.raises(DamagedIndex):
        DurableStorage(home.index).read()


def test_a_damaged_index_is_made_anew_from_the_run_folders(home: Home) -> None:
    for number in (1, 2):
        spec = make_spec(number)
        close_run(home, write_run(home, spec, life_of([make_item(0, 103.0)])))
    for broken in (b"", b"{", b'{"runs": {"1": ', b'{"about": {"1": {"version": 99}}}'):
        home.index.write_bytes(broken)
        assert [record.spec.number for record in Store(home).all()] == [2, 1]


def test_rebuild_names_what_it_cannot_read(home: Home) -> None:
    folder = write_run(home, make_spec(1), life_of([make_item(0, 103.0)]))
    close_run(home, folder)
    folder.record.write_text("{}")
    problems = Store(home).rebuild()
    assert len(problems) == 1
    assert str(folder.record) in problems[0]


class PowerCut(BaseException):
    """The machine is gone: nothing runs any more."""


class CutFile:
    """A file on a machine whose power fails after `cut` bytes."""

    def __init__(self, descriptor: int, cut: int) -> None:
        self._file = REAL_FDOPEN(descriptor, "wb", buffering=0)
        self._cut = cut

    def __enter__(self) -> CutFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data[: self._cut])
        if self._cut < len(data):
            raise PowerCut

    def flush(self) -> None:
        """Unbuffered."""

    def fileno(self) -> int:
        return self._file.fileno()


def test_a_write_cut_at_any_byte_leaves_the_old_index(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(home)
    store.put(make_record(1))
    old = home.index.read_bytes()
    monkeypatch.setattr(durable.Path, "unlink", lambda *_, **__: None)  # the dead do not tidy up
    for cut in range(1_000_000):
        monkeypatch.setattr(durable.os, "fdopen", lambda fd, _, cut=cut: CutFile(fd, cut))
        try:
            store.put(make_record(2))
            break
        except PowerCut:
            assert home.index.read_bytes() == old
    assert cut > len(old)
    monkeypatch.undo()
    assert [record.spec.number for record in store.all()] == [2, 1]
    assert list(home.root.glob(".index.json.*"))
    store.sweep()
    assert not list(home.root.glob(".index.json.*"))


def test_two_hundred_kills_of_a_writing_store_lose_nothing(home: Home) -> None:
    """kill -9 at random moments: every acknowledged run is there, every document whole."""
    random_source = random.Random(20261122)
    environment = child_environment(EDGELAB_HOME=str(home.root))
    environment["PYTHONPATH"] = f"{Path.cwd()}{os.pathsep}{environment['PYTHONPATH']}"
    acknowledged: list[int] = []
    kills = 0
    while kills < KILLS:
        first = (acknowledged[-1] if acknowledged else 0) + 2
        if first > 60:  # keep the file small: the moments count, not the size
            home.index.unlink()
            acknowledged, first = [], 1
        # Forked children of one warm writer, so that 200 kills take seconds.
        process = subprocess.Popen(
            [sys.executable, "-c", FORKING_WRITER, str(first), str(min(20, KILLS - kills))],
            stdout=subprocess.PIPE,
            env={**environment, "SEED": str(random_source.random())},
            text=True,
        )
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        kills += min(20, KILLS - kills)
        acknowledged += [int(line) for line in output.split()]
        stored = {record.spec.number for record in Store(home).all()}
        assert set(acknowledged) <= stored
        assert DurableStorage(home.index).read() is not None


FORKING_WRITER = """
import os, random, signal, sys, time
from edgelab.home import Home
from edgelab.store import Store
from tests.recorded import make_record
number, kills = int(sys.argv[1]), int(sys.argv[2])
source = random.Random(os.environ["SEED"])
store = Store(Home.default())
store.put(make_record(number))
for _ in range(kills):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            number += 1
            store.put(make_record(number))
            os.write(writer, b"%d\\n" % number)
    os.close(writer)
    time.sleep(source.uniform(0.001, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    written = b""
    while block := os.read(reader, 4096):
        written += block
    os.close(reader)
    numbers = [int(line) for line in written.split()]
    number = (numbers[-1] if numbers else number) + 1
    print(*numbers)
"""


def test_the_stamp_changes_with_the_index(home: Home) -> None:
    store = Store(home)
    before = store.stamp()
    store.put(make_record(1))
    first = store.stamp()
    store.put(make_record(2))
    assert len({before, first, store.stamp()}) == 3


def test_a_removed_run_is_gone(home: Home) -> None:
    store = Store(home)
    store.put(make_record(1))
    store.put(make_record(2))
    store.remove(make_spec(1).id)
    assert [record.spec.number for record in store.all()] == [2]


def test_the_index_keeps_documents_small(home: Home) -> None:
    """Ten classes or eighty: a line of the index does not grow with them."""
    Store(home).put(make_record(1))
    document = msgspec.json.decode(home.index.read_bytes())["runs"]["1"]
    assert all(not row["classes"] for row in document["passes"][0]["rows"])
