"""A dataset of one's own under a name: its profile, and into the user's own profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import tomli_w

from edgelab.catalogue import Catalogue, LocalDataset
from edgelab.dataset_check import look_through
from edgelab.dataset_report import DatasetReport, Kind
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.naming import must_be_a_name
from edgelab.problem import Problem
from edgelab.program import Tell

FIELDS: dict[str, str] = {
    "name": "small letters, digits, - _",
    "path": "folder, .json, .yaml, .csv",
    "images": "folder, of .json or questions",
    "split": "where it has some; empty: val",
    "classes": "count these; empty: all",
    "images a class": "at most; empty: all images",
    "title": "in a few words, what it is",
}
"""What can be typed of a new dataset, each with a hint."""


class NewDataset(NamedTuple):
    """Data that are to get a name. `split`: the one that was asked for, if any."""

    name: str
    profile: LocalDataset
    split: str | None

    def look_through(self, home: Home, tell: Tell) -> DatasetReport:
        """What is wrong with what its runs would read; raises Problem."""
        profile = self.profile
        return look_through(
            home,
            profile.path,
            tell,
            images=profile.images,
            split=self.split,
            classes=profile.classes,
            per_class=profile.per_class,
        )


def new_dataset(
    home: Home,
    name: str,
    path: str,
    *,
    images: str | None = None,
    classes: tuple[str, ...] | None = None,
    per_class: int | None = None,
    split: str | None = None,
    title: str | None = None,
) -> NewDataset:
    """Data at `path`, paths made absolute.

    Raises Problem naming what is wrong with it, and where the name is taken.
    """
    if (known := Catalogue(home).dataset(name)) is not None:
        raise Problem(f"{name}: the name is taken by {known.path}: choose another, or change that")
    must_be_a_name(name)
    if per_class is not None and per_class < 1:
        raise Problem(f"images a class = {per_class}: expected 1 or more")
    profile = LocalDataset(
        schema_version=1,
        title=title or name,
        path=_absolute(path),
        images=None if images is None else _absolute(images),
        default_split=split or "val",
        classes=classes,
        per_class=per_class,
    )
    return NewDataset(name, profile, split)


def dataset_from(home: Home, texts: Mapping[str, str]) -> NewDataset:
    """Data as typed into the lines of `FIELDS`; an empty line says nothing. Raises Problem."""
    typed = {name: text.strip() for name, text in texts.items()}
    if not typed["path"]:
        raise Problem("path: name a folder, a COCO .json, a dataset .yaml or a .csv")
    classes = tuple(name.strip() for name in typed["classes"].split(",") if name.strip())
    return new_dataset(
        home,
        typed["name"],
        typed["path"],
        images=typed["images"] or None,
        classes=classes or None,
        per_class=_whole("images a class", typed["images a class"]),
        split=typed["split"] or None,
        title=typed["title"] or None,
    )


def _whole(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise Problem(f"{name} = {text[:80]!r}: expected a whole number") from None


def add_dataset(home: Home, new: NewDataset, report: DatasetReport) -> Path:
    """Write the profile of data that was looked through; returns where it lies.

    Raises Problem where it cannot be run.
    """
    for finding in report.findings:
        if finding.kind is Kind.UNUSABLE:
            raise Problem(finding.what)
    if not report.readable:
        raise Problem(f"{new.profile.path}: none of its {report.images} images can be read")
    profile = new.profile
    path = home.profiles / "datasets" / f"{new.name}.toml"
    document = {"schema_version": profile.schema_version, "kind": "local"}
    fields = msgspec.to_builtins(profile)
    document |= {key: value for key, value in fields.items() if value not in (None, "")}
    replace_file(path, tomli_w.dumps(document).encode())
    return path


def _absolute(given: str) -> str:
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise Problem(f"{path}: does not exist")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise Problem("the path is not valid UTF-8: rename it") from None
    return str(path)
