"""The memory of this process: how much it took, and how its lack is recognised."""

from __future__ import annotations

from pathlib import Path

# How the native libraries word a failed allocation; they raise it as errors of their own.
_OUT_OF_MEMORY_WORDS = (
    "bad_alloc",
    "failed to allocate memory",
    "outofmemoryerror",
    "can't allocate memory",  # torch, on a CPU
    "cuda out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True where an allocation failed, in Python or in a native library."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY_WORDS)


def peak_memory_bytes() -> int:
    """The most memory this process ever had resident (VmHWM), bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status: no VmHWM")
