"""What `edgelab datasets check` found: written by the program that looks, read by who asked."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.settings.common import NotNegative

REPORT_VERSION = 1


class Kind(StrEnum):
    """What can be found, in the order in which it is told: faults first, then what is no fault."""

    UNUSABLE = "cannot be run"
    MISSING = "missing image"
    BROKEN = "broken image"
    NAME = "unusable file name"
    SIZE = "wrong size"
    DOUBLE_ID = "double id"
    DOUBLE_IMAGE = "double image"
    DOUBLE_CLASS = "double class"
    DOUBLE_BOX = "double box"
    UNKNOWN_ID = "unknown id"
    BOX = "bad box"
    OUTSIDE = "box outside"
    CROWD = "bad iscrowd"
    LABEL = "bad label"
    STRAY = "label without image"
    NO_IMAGE = "class without images"
    NOT_KNOWN = "class unknown to the model"
    BOXLESS = "object without a box"
    CROWDS = "crowds"
    NO_LABEL = "images without labels"

    @property
    def is_fault(self) -> bool:
        """False for what a reader must know and nobody has to mend."""
        return self not in (
            Kind.NO_IMAGE, Kind.NOT_KNOWN, Kind.BOXLESS, Kind.CROWDS, Kind.NO_LABEL,
        )  # fmt: skip


class Finding(msgspec.Struct, frozen=True):
    """One thing found. `where`: the image, annotation, class or line; `what`: one sentence."""

    kind: Kind
    where: str
    what: str


class ClassContent(msgspec.Struct, frozen=True):
    """One class as a run counts it: images that hold it, its objects; crowds are not counted.

    `known`: to the model that was named.
    """

    name: str
    images: NotNegative
    objects: NotNegative
    crowds: NotNegative = 0
    known: bool | None = None


class DatasetReport(msgspec.Struct, frozen=True):
    """A dataset, looked through. `readable`: images with pixels; `findings`: sorted by kind.

    `objects`: None without annotations; `questions`: None of data that have none.
    """

    version: Annotated[int, Meta(ge=REPORT_VERSION, le=REPORT_VERSION)]
    name: str
    path: str
    split: str
    images: NotNegative
    readable: NotNegative
    objects: NotNegative | None
    crowds: NotNegative
    classes: tuple[ClassContent, ...]
    findings: tuple[Finding, ...]
    questions: NotNegative | None = None

    @property
    def faults(self) -> int:
        """Findings that somebody should mend."""
        return sum(finding.kind.is_fault for finding in self.findings)

    @property
    def by_kind(self) -> dict[Kind, int]:
        """How many of each kind, in the order of the kinds."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in Kind if kind in counts}
