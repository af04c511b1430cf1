"""The machine that the figures were taken on, and how busy others kept it."""

from __future__ import annotations

import os
import tempfile
import time
from importlib import metadata
from pathlib import Path

from edgelab import environment
from edgelab.machine import usable_cores

_LIBRARIES = ("textual", "msgspec", "tinydb", "psutil")
_SHOWN = (
    "edgelab", "revision", "board", "cpu", "architecture", "kernel", "system", "memory_mb",
    "governor", "python",
)  # fmt: skip
_BUSY_WINDOW_S = 3.0


def facts() -> dict[str, str]:
    """What a figure may depend on; unknown facts are left out."""
    known = environment.capture()
    shown = {name: known[name] for name in _SHOWN if name in known}
    shown["cores"] = str(usable_cores())
    shown["temporary files on"] = _file_system(Path(tempfile.gettempdir()))
    libraries = {name: known[name] for name in environment.LIBRARIES if name in known}
    libraries |= {name: metadata.version(name) for name in _LIBRARIES}
    shown["libraries"] = ", ".join(f"{name} {version}" for name, version in libraries.items())
    return shown


def busy_percent() -> float:
    """What all processes together use of all cores now, % of one core, over some seconds."""
    before = _busy_ticks()
    time.sleep(_BUSY_WINDOW_S)
    ticks = _busy_ticks() - before
    return 100 * ticks / os.sysconf("SC_CLK_TCK") / _BUSY_WINDOW_S


def _busy_ticks() -> int:
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return user + nice + system + irq + softirq + steal


def _file_system(path: Path) -> str:
    """The kind of file system that holds `path`: what an fsync costs depends on it."""
    kinds = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if path.resolve().is_relative_to(mount):
            kinds[mount] = kind
    return kinds[max(kinds, key=len)] if kinds else "unknown"
