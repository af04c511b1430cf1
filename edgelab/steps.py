"""The steps of a run: which programs it starts, in which order.

Each step is a process of its own, so that its peak memory is its own and its death costs no other
step. Programs are named, not imported: the lab does not know the runners.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgelab.spec import DetectSettings, RunSpec

PREPARE = "prepare"

OUT_OF_MEMORY_EXIT = 77
"""A runner ends with this code when an allocation failed: out of memory, proven."""

DISK_FULL_EXIT = 78
"""A runner ends with this code when its journal found no room."""


@dataclass(frozen=True)
class Step:
    """`python -m module <run folder> arguments...`; those not `needed` may fail alone."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    needed: bool = True


def steps_of(spec: RunSpec) -> tuple[Step, ...]:
    """Prepare data and models, then one measuring process a precision."""
    return (Step(PREPARE, "runners.prepare"), *_passes(spec.settings))


def _passes(settings: DetectSettings) -> tuple[Step, ...]:
    return tuple(
        Step(precision.value, "runners.detect", ("--precision", precision.value), needed=False)
        for precision in settings.precisions
    )
