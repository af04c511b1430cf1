"""Append-only journals of one JSON record a line: a writer, and a reader that follows the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from edgelab.problem import Problem
from edgelab.records import JOURNAL_VERSION, Header, Record, moved
from edgelab.schema import UNREADABLE

R = TypeVar("R")

_BLOCK = 1 << 16


class JournalProblem(Problem):
    """A journal of a kind or a version that this edgelab cannot read."""


class JournalWriter:
    """Appends records to one file. Only one process writes a journal at a time.

    Each record is one `write` of one line, so that kill -9 can tear the last line at most; a torn
    tail left by a dead writer is cut off when the file is opened again. `shift_s` moves the clock
    readings of all records.
    """

    def __init__(self, path: Path, shift_s: float = 0.0) -> None:
        self.path = path
        self._shift_s = shift_s
        self._encoder = msgspec.json.Encoder()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._cut_torn_tail()
        if os.fstat(self._descriptor).st_size == 0:
            self.append(Header(journal=path.stem, version=JOURNAL_VERSION))

    def append(self, record: Record) -> None:
        """Write one record; raises OSError (disk full) and leaves whole lines only."""
        if self._shift_s:
            record = moved(record, self._shift_s)
        line = self._encoder.encode(record) + b"\n"
        start = os.fstat(self._descriptor).st_size
        try:
            while line:  # a file system may take a part: ask again, to learn the reason
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, start)
            raise

    def sync(self) -> None:
        """Make everything appended so far survive a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut_torn_tail(self) -> None:
        size = os.fstat(self._descriptor).st_size
        keep = size
        while keep:
            start = max(0, keep - _BLOCK)
            block = os.pread(self._descriptor, keep - start, start)
            newline = block.rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
        if keep < size:
            os.ftruncate(self._descriptor, keep)


class JournalReader(Generic[R]):
    """Follows a journal that may still be growing, or may not exist yet.

    `kind` is the union of its records. Lines that do not decode (torn by a crash of the machine)
    are counted in `damaged` and skipped.
    """

    def __init__(self, path: Path, kind: Any) -> None:
        self.path = path
        self.damaged = 0
        self._decoder: msgspec.json.Decoder[R] = msgspec.json.Decoder(kind)
        self._offset = 0
        self._tail: list[bytes] = []  # pieces of a line that has not ended yet

    def poll(self) -> list[R]:
        """The records completed since the last call, in order; headers are checked and left out."""
        return list(self.follow(self.size()))

    def size(self) -> int:
        """Bytes of the file now; 0 where there is none yet."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def follow(self, end: int) -> Iterator[R]:
        """The same one by one, up to the byte `end`. Read it to its end before the next call."""
        for line in self._new_lines(end):
            try:
                record = self._decoder.decode(line)
            except UNREADABLE:
                self.damaged += 1
                continue
            if isinstance(record, Header):
                self._check(record)
            else:
                yield record

    def _new_lines(self, end: int) -> Iterator[bytes]:
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            if end < self._offset:  # a torn tail was cut off
                self._offset, self._tail = end, []
            file.seek(self._offset)
            while block := file.read(min(_BLOCK, end - self._offset)):
                self._offset += len(block)
                *lines, rest = block.split(b"\n")
                if lines:
                    lines[0] = b"".join((*self._tail, lines[0]))
                    self._tail = []
                    yield from (line for line in lines if line)
                self._tail.append(rest)

    def _check(self, header: Header) -> None:
        if header.version > JOURNAL_VERSION:
            raise JournalProblem(
                f"{self.path}: journal version {header.version}, this edgelab reads up to "
                f"{JOURNAL_VERSION}: install a newer edgelab"
            )
