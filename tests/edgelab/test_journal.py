from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelab.journal import JournalProblem, JournalReader, JournalWriter
from edgelab.records import Header, Item, ItemLine, Warning  # noqa: A004
from tests.recorded import make_item

ITEMS = [make_item(index, float(index)) for index in range(5)]


def write(path: Path, items: list[Item]) -> bytes:
    with JournalWriter(path) as journal:
        for item in items:
            journal.append(item)
    return path.read_bytes()


def read(path: Path) -> tuple[list[Item], int]:
    reader: JournalReader[Item] = JournalReader(path, ItemLine)
    return reader.poll(), reader.damaged


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "items.jsonl", ITEMS)
    items, damaged = read(tmp_path / "items.jsonl")
    assert [item.image for item in items] == [item.image for item in ITEMS]
    assert items[0].times == ITEMS[0].times
    assert not damaged


def test_a_journal_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing.jsonl") == ([], 0)


def test_cut_at_any_byte_whole_lines_are_read_and_writing_goes_on(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl", ITEMS)
    for cut in range(len(whole) + 1):
        path = tmp_path / "items.jsonl"
        path.write_bytes(whole[:cut])
        complete = max(0, whole[:cut].count(b"\n") - 1)
        items, damaged = read(path)
        assert (len(items), damaged) == (complete, 0)
        with JournalWriter(path) as journal:
            journal.append(ITEMS[-1])
        items, damaged = read(path)
        assert (len(items), damaged) == (complete + 1, 0)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_a_reader_that_follows_sees_each_record_once(chunks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = write(Path(folder) / "whole.jsonl", ITEMS)
        path = Path(folder) / "items.jsonl"
        reader: JournalReader[Item] = JournalReader(path, ItemLine)
        seen: list[Item] = []
        start = 0
        for size in [*chunks, len(whole)]:
            with path.open("ab") as file:
                file.write(whole[start : start + size])
            start += size
            seen += reader.poll()
        assert [item.index for item in seen] == [item.index for item in ITEMS]


def test_a_damaged_line_is_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    lines = write(path, ITEMS).split(b"\n")
    lines[2] = b'{"type": "item", "t": "yesterday"}'
    lines[3] = b"\x00\xff\x00"
    path.write_bytes(b"\n".join(lines))
    items, damaged = read(path)
    assert [item.index for item in items] == [0, 3, 4]
    assert damaged == 2


def test_a_journal_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"type":"header","journal":"items","version":99}\n')
    with pytest.raises(JournalProblem, match=r"items\.jsonl.*version 99.*newer edgelab"):
        read(path)


def test_a_full_disk_is_told_and_tears_nothing() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        JournalWriter(Path("/dev/full")).append(Warning(t=0, text="x"))


def test_the_header_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write(path, ITEMS[:1])
    write(path, ITEMS[1:2])
    assert path.read_bytes().count(b'"header"') == 1
    assert Header(journal="items", version=1).journal in path.read_text()
