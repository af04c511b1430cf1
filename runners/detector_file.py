"""From the name a person gave to a detector that can be run: found, fetched, exported and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgelab.catalogue import Catalogue, DetectorProfile, Entry, ModelProfile, Weights
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.weights import model_file
from runners.download import download, sha256_of
from runners.exported import WEIGHTS, export
from runners.model_file import ModelFile, read_model
from runners.model_folder import CarriedFiles

ONNX = ".onnx"
_KILOBYTE = 1000


class Listener(Protocol):
    """Is told what takes long; a running step is one."""

    def phase(self, name: str, total: int | None = None, unit: str = "images") -> None:
        """This begins now."""
        ...

    def progress(self, done: int) -> None:
        """So many units of it are done."""
        ...

    def warning(self, text: str) -> None:
        """Something that a reader must know."""
        ...


@dataclass(frozen=True)
class FoundDetector:
    """A detector's file and, where it is known by name, its profile and what that brings along."""

    file: ModelFile
    profile: DetectorProfile | None = None
    carried: CarriedFiles | None = None


def open_detector(step: Listener, home: Home, model: str, image_size: int | None) -> FoundDetector:
    """Find `model`, a name of the catalogue or a path; raises Problem where it cannot be run."""
    step.phase("read the model", unit="")
    entry = Catalogue(home).model(model)
    if entry is None:
        path = _as_onnx(step, home, Path(model).expanduser(), image_size)
        return FoundDetector(read_model(path, Path(model).stem, image_size))
    profile = _detector(entry)
    path = _as_onnx(step, home, _file(step, home, entry, profile), image_size)
    file = read_model(path, entry.name, image_size)
    if profile.family != file.family.name:
        raise Problem(
            f"{path}: a model of the family {file.family.name!r}, but the profile of {entry.name} "
            f"says family = {profile.family!r}"
        )
    return FoundDetector(file, profile, CarriedFiles(file, entry.path.parent, profile.files))


def _detector(entry: Entry[ModelProfile]) -> DetectorProfile:
    profile = entry.require()
    if not isinstance(profile, DetectorProfile):
        raise Problem(f"{entry.name}: no detector, its task is {profile.__struct_config__.tag}")
    return profile


def _as_onnx(step: Listener, home: Home, path: Path, image_size: int | None) -> Path:
    suffix = path.suffix.lower()
    if suffix == ONNX:
        return path
    if suffix in WEIGHTS:
        return export(
            path, image_size, home.converted, lambda: step.phase(f"export {path.name}", unit="")
        )
    raise Problem(
        f"{path}: neither a model of the catalogue nor a file of these: {ONNX}, "
        f"{', '.join(WEIGHTS)} (`edgelab models` lists the catalogue)"
    )


def _file(step: Listener, home: Home, entry: Entry[ModelProfile], profile: DetectorProfile) -> Path:
    """The model's file, downloaded where it is not here yet."""
    found, weights = model_file(entry, home), profile.weights
    if found is None and weights is not None:
        return _fetched(step, home, entry.name, weights)
    assert found is not None
    if weights is not None and found.name == weights.file:
        _compare(step, found, weights)
    return found


def _fetched(step: Listener, home: Home, name: str, weights: Weights) -> Path:
    target = home.models / weights.file
    try:
        _download(step, weights, target)
    except Problem as problem:
        raise Problem(
            f"{name}: put {weights.file} into {home.models}: it is not there, and {problem}"
        ) from None
    return target


def _compare(step: Listener, found: Path, weights: Weights) -> None:
    if not sha256_of(found).startswith(weights.sha256):
        step.warning(f"{found}: its sha256 is not that of {weights.url}")


def _download(step: Listener, weights: Weights, target: Path) -> None:
    told = False

    def tell(here: int, total: int | None) -> None:
        nonlocal told
        if not told:
            kilobytes = None if total is None else total // _KILOBYTE
            step.phase(f"download {weights.file}", kilobytes, "kB")
            told = True
        step.progress(here // _KILOBYTE)

    download(weights.url, target, weights.sha256, tell)
