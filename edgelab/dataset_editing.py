"""A dataset of one's own under a name: its profile, and into the user's own profiles."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import tomli_w

from edgelab.catalogue import Catalogue, LocalDataset
from edgelab.dataset_report import DatasetReport, Kind
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.problem import Problem

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


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
) -> LocalDataset:
    """The profile of data at `path`, paths made absolute.

    Raises Problem naming what is wrong with it, and where the name is taken.
    """
    if (known := Catalogue(home).dataset(name)) is not None:
        raise Problem(f"{name}: the name is taken by {known.path}: choose another, or change that")
    if not _NAME.fullmatch(name):
        raise Problem(f"name = {name[:80]!r}: small letters, digits, - and _ only")
    if per_class is not None and per_class < 1:
        raise Problem(f"--per-class {per_class}: expected 1 or more")
    return LocalDataset(
        schema_version=1,
        title=title or name,
        path=_absolute(path),
        images=None if images is None else _absolute(images),
        default_split=split or "val",
        classes=classes,
        per_class=per_class,
    )


def add_dataset(home: Home, name: str, profile: LocalDataset, report: DatasetReport) -> Path:
    """Write the profile of data that was looked through; returns where it lies.

    Raises Problem where it cannot be run.
    """
    for finding in report.findings:
        if finding.kind is Kind.UNUSABLE:
            raise Problem(finding.what)
    if not report.readable:
        raise Problem(f"{profile.path}: none of its {report.images} images can be read")
    path = home.profiles / "datasets" / f"{name}.toml"
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
