"""Where a model of a hub lies on this board, if it does: nothing is asked of a network."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from edgelab.home import Home

WHOLE = ".whole"
"""Written into a commit's folder when all its files are there and checked."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def own_folder(
    repository: str, revision: str | None, home: Home, onnx: bool = False
) -> Path | None:
    """Of the lab's own download of that revision, where it is whole; `onnx`: of its ONNX files.

    A branch means what it meant when it was downloaded: a lab's runs shall be comparable.
    """
    place = repository_folder(repository, home)
    found = _at(revision, place / "refs", place)
    folder = None if found is None else commit_folder(found, onnx)
    return folder if folder is not None and (folder / WHOLE).is_file() else None


def commit_folder(commit: Path, onnx: bool) -> Path:
    """Where a commit's files lie: the ONNX files apart, for a folder that has some runs these."""
    return commit.with_name(f"{commit.name}-onnx") if onnx else commit


def cached_folder(repository: str, revision: str | None) -> Path | None:
    """Of the cache that the hub's own programs share, where a config.json lies in it."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    place = cache / f"models--{file_name(repository)}"
    folder = _at(revision, place / "refs", place / "snapshots")
    return folder if folder is not None and (folder / "config.json").is_file() else None


def repository_folder(repository: str, home: Home) -> Path:
    """Of all commits of a repository."""
    return home.hub / file_name(repository)


def file_name(text: str) -> str:
    """A repository or a branch as the name of a file."""
    return text.replace("/", "--")


def _at(revision: str | None, refs: Path, commits: Path) -> Path | None:
    commit = revision if revision and _COMMIT.fullmatch(revision) else None
    if commit is None:
        with suppress(OSError):
            commit = (refs / file_name(revision or "main")).read_text().strip()
    return commits / commit if commit and _COMMIT.fullmatch(commit) else None
