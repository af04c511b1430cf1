"""A generated split is on the disk whole or not at all, whoever draws it and whoever dies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from edgelab.durable import locked, sync_folder


def ensure_whole(target: Path, write: Callable[[Path], None]) -> Path:
    """The folder `target`, filled by `write(folder)` where it is not there yet.

    It is written into a hidden folder beside it, synced to the disk, and renamed. Waits if another
    process is at it. Raises what `write` does, and then leaves nothing behind.
    """
    if target.is_dir():
        return target
    with locked(target.with_name(f".{target.name}.lock")):
        if not target.is_dir():  # else another process wrote it while this one waited
            _write(target, write)
    return target


def _write(target: Path, write: Callable[[Path], None]) -> None:
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    try:
        write(part)
        _sync_tree(part)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(target.parent)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
