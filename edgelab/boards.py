"""Boards known by name: what the kernel does not tell about them.

Profiles are data from public sources, none of it measured by us; each says in its notes where its
figures come from. `edgelab calibrate` measures what a board really attains.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from edgelab.energy.estimate import PowerModel
from edgelab.settings.common import Positive, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgelab.catalogue import Entry

AboveZero = Annotated[float, Meta(gt=0)]


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cores of one kind. `policy`: the cpufreq policy that sets their clock."""

    name: Text
    cores: Positive
    max_mhz: Positive
    policy: Text | None = None


class BoardProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A board by name.

    `match`: strings of the device tree's `compatible` property; `architecture`: for machines
    without a device tree. Peaks are of all CPU cores together: operations a cycle x cores x clock.
    `memory_gb_per_s`: bus width x data rate; `memcpy_gb_per_s`: bytes a published test copied a
    second by one core, each byte counted once (read and write together move twice that). `power`
    is given only where somebody published figures of the whole board.
    """

    schema_version: Annotated[int, Meta(ge=1, le=1)]
    title: Text
    soc: Text
    notes: Text
    match: tuple[Text, ...] = ()
    architecture: Text | None = None
    clusters: tuple[Cluster, ...] = ()
    peak_gflops_fp32: AboveZero | None = None
    peak_gops_int8: AboveZero | None = None
    npu_tops_int8: AboveZero | None = None
    memory_gb_per_s: AboveZero | None = None
    memcpy_gb_per_s: AboveZero | None = None
    power: PowerModel | None = None

    def __post_init__(self) -> None:
        if bool(self.match) == bool(self.architecture):
            raise ValueError("match or architecture must be given, and not both")


def recognise(
    boards: Iterable[Entry[BoardProfile]],
    root: Path = Path("/"),
    architecture: str | None = None,
) -> Entry[BoardProfile] | None:
    """Which of `boards` this machine is; None where it is none of them.

    The device tree lists its strings from the most to the least specific: the first that a profile
    names decides. Without a device tree the processor's architecture does. Broken profiles match
    nothing.
    """
    known = [(entry, entry.profile) for entry in boards if entry.profile is not None]
    for name in compatible(root):
        for entry, profile in known:
            if name in profile.match:
                return entry
    if (root / "proc/device-tree").exists():
        return None
    machine = architecture or platform.machine()
    return next((entry for entry, profile in known if profile.architecture == machine), None)


def compatible(root: Path = Path("/")) -> tuple[str, ...]:
    """The strings of the device tree's `compatible` property, most specific first."""
    try:
        data = (root / "proc/device-tree/compatible").read_bytes()
    except OSError:
        return ()
    return tuple(name for name in data.decode(errors="replace").split("\0") if name)
