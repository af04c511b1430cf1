"""What this process may use of the machine."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process is allowed to run on: affinity, not the count on the box."""
    return len(os.sched_getaffinity(0))
