"""Models of a hub: found on disk where they are, else downloaded; resumed, checked, once.

A repository's files at one commit lie in `$EDGELAB_HOME/hub/OWNER--NAME/COMMIT`, what a download
was cut off in as NAME.part. The hub's client asks for lists and streams; that a download goes on
where an earlier process ended is done here, for the client begins anew since its version 2.

Each file is checked by the hub's own hash of it: SHA-256 of large files, git's SHA-1 of small ones.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.hub_folder import (
    WHOLE,
    commit_folder,
    file_name,
    own_folder,
    repository_folder,
)
from edgelab.problem import Problem
from edgelab.words import megabytes
from runners.extras import needs
from runners.smolvlm.layout import PARTS, SUFFIXES, precisions_of

OnBytes = Callable[[int, int], None]
"""Told how many bytes of how many are there."""

_SMALL = ("*.json", "*.jinja", "*.model", "*.txt")
_FIRST, _OTHERWISE = "*.safetensors", "pytorch_model*.bin"
_UNUSED = ("*.index.json.lock", "training_args*", "optimizer*", "*/trainer_state.json")
_SPARE_BYTES = 200_000_000  # a disk filled to the brim helps nobody
_TIMEOUT_S = 15.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; `sha256` of large files, `git_sha1` of the others."""

    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


def find_model(
    repository: str,
    revision: str | None,
    home: Home,
    tell: OnBytes | None = None,
    precisions: Sequence[str] = (),
    *,
    onnx: bool = False,
) -> Path:
    """The folder with the files of a repository that a runner needs; downloads what is missing.

    `revision`: a commit, branch or tag, None for the hub's `main`. `onnx`: its ONNX files, also
    where it has others; of ONNX files those of `precisions` are taken, none: all. Raises Problem in
    one line.
    """
    kept = own_folder(repository, revision, home, onnx)
    if kept is not None and not lacking(kept, precisions):
        return kept
    if kept is not None:
        revision = kept.name.removesuffix("-onnx")  # more of the same commit
    elif not onnx and (cached := _in_hubs_cache(repository, revision)) is not None:
        return cached
    return _download(repository, revision, home, tell, precisions, onnx)


def lacking(folder: Path, precisions: Iterable[str]) -> list[str]:
    """Those whose ONNX files were not downloaded into a folder that has some of others."""
    there = precisions_of(folder)
    return [each for each in precisions if there and each in SUFFIXES and each not in there]


def needed(
    files: Iterable[HubFile], precisions: Sequence[str] = (), *, onnx: bool = False
) -> list[HubFile]:
    """What a runner reads: small files, and weights in one layout.

    Safetensors before .bin, never both, one file before shards of the same weights; where there are
    neither, or with `onnx`, the ONNX files of these precisions, of all where it has none of them.
    """
    files = [each for each in files if not _matches(each.name, _UNUSED)]
    small = [f for f in files if "/" not in f.name and _matches(f.name, _SMALL)]
    for pattern in () if onnx else (_FIRST, _OTHERWISE):
        weights = [f for f in files if _matches(f.name, (pattern,)) and "/" not in f.name]
        if weights:
            return [*small, *weights]
    return [*small, *_onnx_files(files, precisions)]


def _onnx_files(files: Sequence[HubFile], precisions: Sequence[str]) -> list[HubFile]:
    """The three graphs of each precision, their weights beside them."""
    by_name = {each.name: each for each in files}

    def graphs(precision: str) -> list[str]:
        """Of the first suffix that all three have."""
        for suffix in SUFFIXES[precision]:
            names = [f"onnx/{part}{suffix}.onnx" for part in PARTS]
            if all(name in by_name for name in names):
                return names
        return []

    known = [each for each in SUFFIXES if graphs(each)]
    chosen = [each for each in known if each in precisions] or known
    taken = [name for each in chosen for name in graphs(each)]
    return [
        each
        for each in files
        if any(each.name == name or each.name.startswith(f"{name}_data") for name in taken)
    ]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _in_hubs_cache(repository: str, revision: str | None) -> Path | None:
    """Where another program, or `hf download`, has left it; None where weights are missing."""
    with needs("vlm", f"the model {repository} of the hub"):
        from huggingface_hub import snapshot_download
    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None
    weights = [*folder.glob(_FIRST), *folder.glob(_OTHERWISE), *folder.glob("onnx/*.onnx")]
    return folder if weights and (folder / "config.json").is_file() else None


def _download(
    repository: str,
    revision: str | None,
    home: Home,
    tell: OnBytes | None,
    precisions: Sequence[str],
    onnx: bool,
) -> Path:
    commit, listed = _listed(repository, revision)
    files = needed(listed, precisions, onnx=onnx)
    if not any(each.name == "config.json" for each in files):
        raise Problem(f"{repository}: no config.json in it: no model of transformers")
    place = repository_folder(repository, home)
    if onnx and not any(each.name.startswith("onnx/") for each in files):
        raise Problem(f"{repository}: no ONNX files in it that a runner knows (onnx/*.onnx)")
    folder = commit_folder(place / commit, onnx)
    folder.mkdir(parents=True, exist_ok=True)
    _check_room(repository, folder, files)
    total, there = sum(each.size for each in files), 0
    for each in files:
        before = there

        def heard(done: int, before: int = before) -> None:
            if tell is not None:
                tell(before + done, total)

        _fetch(repository, commit, each, folder, heard)
        there += each.size
    replace_file(folder / WHOLE, "\n".join(each.name for each in files).encode())
    (place / "refs").mkdir(exist_ok=True)
    replace_file(place / "refs" / file_name(revision or "main"), commit.encode())
    return folder


def _listed(repository: str, revision: str | None) -> tuple[str, list[HubFile]]:
    """The commit that is meant and its files; raises Problem where the hub does not tell."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(
            repository, revision=revision, files_metadata=True, timeout=_TIMEOUT_S
        )
    except HFValidationError as error:
        raise Problem(f"{repository}: no hub id ({_one_line(error)})") from None
    except GatedRepoError:
        raise Problem(
            f"{repository}: the hub gives it to those who accept its licence there: accept it, "
            "then hf auth login"
        ) from None
    except RepositoryNotFoundError:
        raise Problem(f"{repository}: the hub does not know it: look at its name") from None
    except RevisionNotFoundError:
        raise Problem(f"{repository}: no revision {revision!r} of it on the hub") from None
    except Exception as error:  # the HTTP library's own; which one it is changes with the client
        raise Problem(_unreachable(repository, error)) from None
    return str(info.sha), [_hub_file(each) for each in info.siblings or []]


def _hub_file(sibling: Any) -> HubFile:
    large = sibling.lfs
    sha256 = getattr(large, "sha256", None) if large is not None else None
    return HubFile(sibling.rfilename, int(sibling.size or 0), sha256, sibling.blob_id)


def _unreachable(repository: str, error: Exception) -> str:
    return (
        f"{repository}: not on this board, and the hub cannot be reached ({_one_line(error)}): "
        f"elsewhere, hf download {repository} --local-dir FOLDER, copy it here, then "
        "edgelab models add NAME FOLDER, or + in the Lab"
    )


def _check_room(repository: str, folder: Path, files: list[HubFile]) -> None:
    missing = sum(each.size for each in files if not (folder / each.name).is_file())
    missing -= sum(part.stat().st_size for part in folder.rglob("*.part"))
    free = shutil.disk_usage(folder).free
    if missing + _SPARE_BYTES > free:
        raise Problem(
            f"{repository}: {megabytes(missing)} MB to download, {megabytes(free)} MB free in "
            f"{folder}: free some, or set EDGELAB_HOME to another disk"
        )


def _fetch(
    repository: str, commit: str, file: HubFile, folder: Path, heard: Callable[[int], None]
) -> None:
    """One file, from where an earlier attempt ended; raises Problem where it is not the hub's."""
    target = folder / file.name
    if target.is_file():
        heard(file.size)
        return
    if not target.resolve().is_relative_to(folder.resolve()):
        raise Problem(f"{repository}: {file.name}: a file outside of its folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        _stream(repository, commit, file, part, heard)
    except OSError as error:
        if error.errno is not None and part.parent.exists() and _is_ours(error):
            raise
        raise Problem(_unreachable(repository, error)) from None
    except ValueError as error:
        raise Problem(f"{repository}: {file.name}: {_one_line(error)}") from None
    except Exception as error:  # the HTTP library's own
        raise Problem(_cut(repository, file, part, error)) from None
    if not _is_whole(part, file):
        part.unlink()
        raise Problem(
            f"{repository}: {file.name} is not what the hub says it is (its hash differs): "
            "removed; start again"
        )
    part.replace(target)


def _stream(
    repository: str, commit: str, file: HubFile, part: Path, heard: Callable[[int], None]
) -> None:
    from huggingface_hub import get_token, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        disable_progress_bars,
    )

    disable_progress_bars()
    url = hf_hub_url(repository, file.name, revision=commit)
    with _Counting(part, heard) as stream:
        there = stream.seek(0, io.SEEK_END)
        if there > file.size:
            there = stream.seek(0)
            stream.truncate()
        if there < file.size:
            http_get(
                url, stream, resume_size=there, headers=build_hf_headers(token=get_token()),
                expected_size=file.size,
            )  # fmt: skip


class _Counting(io.FileIO):
    """A file that tells how long it is with each write."""

    def __init__(self, path: Path, heard: Callable[[int], None]) -> None:
        super().__init__(path, "r+" if path.exists() else "w+")
        self._heard = heard

    def write(self, data: Any) -> int:
        """Tell, then go on."""
        written = super().write(data)
        self._heard(self.tell())
        return written


def _is_whole(part: Path, file: HubFile) -> bool:
    """By the hub's own hash; one that it does not tell leaves the size."""
    if part.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        return _hashed(part, hashlib.sha256()) == file.sha256
    if file.git_sha1 is not None:
        header = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        return _hashed(part, header) == file.git_sha1
    return True


def _hashed(path: Path, digest: Any) -> str:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())


def _is_ours(error: OSError) -> bool:
    """True for what the disk says, not the network."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO)


def _cut(repository: str, file: HubFile, part: Path, error: Exception) -> str:
    there = part.stat().st_size if part.exists() else 0
    return (
        f"{repository}: {file.name}: cut off at {megabytes(there)} of {megabytes(file.size)} MB "
        f"({_one_line(error)}): start again, it goes on from there"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
