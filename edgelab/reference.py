"""The profile of a published table: what is known of it, and what its columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.settings.common import Positive, Text

Role = Literal["model", "precision", "threshold", "figure", "variant"]


class ReferenceColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of the CSV file; `figure`: what the lab's own tables call it, where that differs.

    `own`: what the lab's own tables call some of the values of a variant.
    """

    name: Text
    role: Role
    meaning: Text
    figure: Text | None = None
    own: dict[str, Text] = {}


class ReferenceFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of how the table was made; None: not stated. `images`: in all sub-datasets."""

    board: Text | None = None
    runtime: Text | None = None
    resolution: Text | None = None
    threads: Positive | None = None
    dataset: Text | None = None
    time_includes: Text | None = None
    images: Positive | None = None
    images_exact: bool = False
    sub_datasets: Positive | None = None

    def by_name(self) -> dict[str, str]:
        """The stated ones, by the names that a comparison explains by."""
        about = "" if self.images_exact else "about "
        dataset = self.dataset
        if dataset and self.images:
            dataset = f"{dataset}: {about}{self.images} images"
        facts = {
            "board": self.board,
            "runtime": self.runtime,
            "resolution": self.resolution,
            "threads": None if self.threads is None else str(self.threads),
            "dataset": dataset,
            "time includes": self.time_includes,
        }
        return {name: value for name, value in facts.items() if value is not None}


class ReferencePair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An own model that is laid beside one of the table: the same, or a stand-in for it."""

    own: Text
    published: Text
    same: bool = False
    difference: str = ""


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published table: `file` is relative to the profile, `version` that of its figures."""

    schema_version: Annotated[int, Meta(ge=1, le=1)]
    version: Positive
    title: Text
    task: Text
    file: Text
    origin: Text
    columns: Annotated[tuple[ReferenceColumn, ...], Meta(min_length=1)]
    facts: ReferenceFacts = ReferenceFacts()
    pairs: tuple[ReferencePair, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if sum(column.role == "model" for column in self.columns) != 1:
            raise ValueError("one column must have the role model")
