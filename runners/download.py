"""A file from the network: gone on with where it was cut, verified, whole or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from edgelab.durable import sync_folder
from edgelab.problem import Problem

ATTEMPTS = 5
"""In a row without a byte more."""
TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 16

OnBytes = Callable[[int, int | None], None]
"""Told of the bytes that are here, and of all of them where the server says how many."""

_RANGE_IS_BEHIND_THE_END = 416
_PARTIAL = 206


class CutError(Exception):
    """The connection was not made, or ended early; the part that came is kept."""


def download(url: str, target: Path, sha256: str, on_bytes: OnBytes) -> None:
    """Fetch `url` to `target`, going on with what an earlier attempt left in `target`.part.

    `sha256`: the hash of the file, or its first digits. Raises Problem where the file cannot be had
    or is another one, OSError where it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = _size(part) > 0
    _fetch_all(url, part, on_bytes)
    if resumed and not sha256_of(part).startswith(sha256):
        # The part was of another file: once more from the start.
        part.unlink()
        _fetch_all(url, part, on_bytes)
    found = sha256_of(part)
    if not found.startswith(sha256):
        part.unlink()
        raise Problem(f"{url}: gave a file of sha256 {found}, expected {sha256}")
    part.replace(target)
    sync_folder(target.parent)


def _fetch_all(url: str, part: Path, on_bytes: OnBytes) -> None:
    """Try again as long as something comes."""
    failures, reached = 0, _size(part)
    while True:
        try:
            _fetch(url, part, on_bytes)
        except CutError as cut:
            failures = 0 if _size(part) > reached else failures + 1
            reached = _size(part)
            if failures == ATTEMPTS or not reached:
                raise Problem(f"{url}: {cut}") from None
        else:
            return


def _fetch(url: str, part: Path, on_bytes: OnBytes) -> None:
    """One request for what is missing; raises CutError."""
    here = _size(part)
    response = _open(url, here)
    if response is None:
        return
    with closing(response), part.open("ab") as file:
        if response.status != _PARTIAL:  # the server sends the whole, whatever was asked for
            here = 0
            file.truncate(0)
        rest = response.headers.get("Content-Length")
        total = here + int(rest) if rest and rest.isdecimal() else None
        on_bytes(here, total)
        while block := _read(response):
            file.write(block)
            here += len(block)
            on_bytes(here, total)
    if total is not None and here < total:
        raise CutError(f"the connection was cut after {here} of {total} bytes")


def _open(url: str, here: int) -> Any:
    """The response, or None where everything is here already."""
    request = urllib.request.Request(url, headers={"User-Agent": "edgelab"})  # noqa: S310 - by schema
    if here:
        request.add_header("Range", f"bytes={here}-")
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310 - http(s) by schema
    except HTTPError as error:
        if here and error.code == _RANGE_IS_BEHIND_THE_END:
            return None
        raise Problem(f"{url}: the server says {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise CutError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _read(response: Any) -> bytes:
    try:
        block: bytes = response.read(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise CutError(str(error) or type(error).__name__) from None
    return block


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def sha256_of(path: Path) -> str:
    """The hash of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
