"""Attained memory bandwidth: copying and reading arrays that no cache holds.

Bytes are counted as in STREAM (McCalpin, "Memory bandwidth and machine balance in current high
performance computers", 1995): what the program reads and writes, so a copy counts twice. A cache
line that is fetched only to be overwritten is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edgelab.calibration import Rate, Resource
from runners.calibration.repeats import Budget, repeat

MIB = 1 << 20
SMALLEST = 64 * MIB
TIMES_THE_CACHE = 4
SHARE_OF_FREE_MEMORY = 4  # both arrays together: at most a half of what is free

_FLOAT = np.dtype(np.float32)


def array_bytes(cache: int | None, available: int | None) -> int:
    """Bytes of each of the two arrays: far above the cache, far below the memory that is free."""
    wanted = max(SMALLEST, TIMES_THE_CACHE * (cache or 0))
    return wanted if available is None else min(wanted, available // SHARE_OF_FREE_MEMORY)


def measure_memory(threads: int, size: int, budget: Budget) -> Iterator[Rate]:
    """Copy, then read, arrays of `size` bytes, each thread its own part."""
    count = max(threads, size // _FLOAT.itemsize)
    source, target = np.ones(count, _FLOAT), np.zeros(count, _FLOAT)
    parts = [slice(count * i // threads, count * (i + 1) // threads) for i in range(threads)]

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])

    def read(part: slice) -> None:
        # The quickest of numpy's reductions: it is vectorised, and its result depends on each value
        np.maximum.reduce(source[part])

    total, how = source.nbytes, f"2 arrays of {source.nbytes // MIB} MiB"
    with ThreadPoolExecutor(threads) as pool:
        yield repeat(_all(copy, parts, pool), budget).rate(
            "memory copy", Resource.MEMORY, threads, 2 * total, how=how
        )
        yield repeat(_all(read, parts, pool), budget).rate(
            "memory read", Resource.MEMORY, threads, total, how=how
        )


def last_level_cache(root: Path = Path("/")) -> int | None:
    """Bytes of the last-level cache, all of its parts together; None: the kernel does not tell."""
    caches: dict[tuple[int, str], int] = {}
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        try:
            level = int((folder / "level").read_text())
            shared = (folder / "shared_cpu_list").read_text().strip()
            caches[level, shared] = _bytes((folder / "size").read_text().strip())
        except (OSError, ValueError):
            continue
    last = max((level for level, _ in caches), default=0)
    return sum(size for (level, _), size in caches.items() if level == last) or None


def _all(
    work: Callable[[slice], None], parts: list[slice], pool: ThreadPoolExecutor
) -> Callable[[], object]:
    """Work on all parts at once; one part needs no other thread."""
    if len(parts) == 1:
        return lambda: work(parts[0])
    return lambda: list(pool.map(work, parts))


def _bytes(text: str) -> int:
    """`512K` as the kernel writes it; raises ValueError."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)
