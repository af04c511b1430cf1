"""Writes that survive kill -9 and a power cut at any byte."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def replace_file(path: Path, data: bytes, shared: bool = False) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a mixture.

    Temporary file in the same folder, fsync, rename, fsync of the folder. Raises OSError (for
    example when the disk is full); the old file is then untouched. `shared`: others may read it,
    as far as the umask lets them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if shared:
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException as error:
        with suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # it is what a person must make room for
        raise
    sync_folder(path.parent)


def _umask() -> int:
    """The process's umask: it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `replace_file` on `path`; call it while nobody can be writing."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` among all processes; waits for its turn.

    The kernel releases it when the holder dies, however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """As `locked`, but yields False at once where somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
