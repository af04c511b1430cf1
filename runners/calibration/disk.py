"""Attained disk read: a fresh file, read once from beginning to end, past the page cache."""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgelab.calibration import Rate, Resource
from runners.calibration.repeats import Budget, Times

MIB = 1 << 20
CHUNK = 4 * MIB
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


class DiskProblem(Exception):  # noqa: N818 - a reason, shown as a sentence
    """Why the disk's speed cannot be told here."""


@dataclass(frozen=True)
class Chunks:
    """How much is written, in chunks of `CHUNK` bytes; a slow card's time is up earlier."""

    most: int = 64
    fewest: int = 4


def measure_disk(folder: Path, chunks: Chunks, budget: Budget) -> Rate:
    """Write a file to `folder`, read it back chunk by chunk; nothing is left of it.

    One repeat is one chunk. Raises DiskProblem where there is no disk, or no room on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    system = file_system(folder)
    if system in MEMORY_FILE_SYSTEMS:
        raise DiskProblem(f"{folder} lies in memory ({system})")
    size = chunks.most * CHUNK
    if shutil.disk_usage(folder).free < 4 * size:
        raise DiskProblem(f"{folder}: too little room for a file of {size // MIB} MiB")
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            count = _write(file, chunks, budget.longest_s)
            how = _leave_the_page_cache(file)
            times = _read(file, count, budget)
    except OSError as error:
        raise DiskProblem(f"{folder}: {error.strerror}") from None
    return times.rate("disk read", Resource.DISK, 1, CHUNK, how=f"{how}, {system}")


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds `folder`, as the kernel names it."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return "unknown"
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if fields.split()[2:3] == [wanted]:
            return rest.split()[0]
    return "unknown"


def _write(file: IO[bytes], chunks: Chunks, longest_s: float) -> int:
    """Chunks of random bytes, which nothing can compress, down to the disk; returns their count."""
    due, count = time.perf_counter() + longest_s, 0
    while count < chunks.fewest or (count < chunks.most and time.perf_counter() < due):
        file.write(os.urandom(CHUNK))
        os.fdatasync(file.fileno())
        count += 1
    return count


def _leave_the_page_cache(file: IO[bytes]) -> str:
    """See that reading asks the disk; returns how that was done."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT)
    except OSError:
        return "page cache dropped (posix_fadvise)"
    return "O_DIRECT"


def _read(file: IO[bytes], count: int, budget: Budget) -> Times:
    """Seconds of each chunk. The buffer is aligned to a page, as O_DIRECT wants it."""
    seconds = []
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    with mmap.mmap(-1, CHUNK) as buffer:
        for _ in range(count):
            start = time.perf_counter_ns()
            got = os.readv(file.fileno(), [buffer])
            seconds.append((time.perf_counter_ns() - start) / 1e9)
            if got != CHUNK:
                raise DiskProblem(f"read {got} bytes of {CHUNK}")
    times = Times(tuple(seconds))
    return Times(times.seconds, settled=times.spread <= budget.spread)
