"""What a lab knows by name: models, datasets, boards, published tables, read from `profiles/`.

Shipped profiles live in the `profiles` package, a user's own in `$EDGELAB_HOME/profiles`, laid out
alike: `models/<name>/model.toml`, `hub/<name>.toml`, `datasets/<name>.toml`, `boards/<name>.toml`,
`studies/<name>.toml`, `references/<name>.toml` with its .csv beside it. A user's profile hides a
shipped one of the same name. A broken profile is listed with its problem and stops nobody.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from edgelab.boards import BoardProfile
from edgelab.home import Home
from edgelab.problem import Problem, told
from edgelab.reference import Reference
from edgelab.schema import SchemaProblem, read_toml
from edgelab.settings.common import (
    DETECTOR_PRECISIONS,
    HeldOut,
    NotNegative,
    Positive,
    Precision,
    Share,
    Text,
    Threshold,
)
from edgelab.study import StudyProfile

P = TypeVar("P")

DIGITS = "digits"
"""What scikit-learn brings, 1,797 handwritten digits of 8 x 8 px: a class an image, no profile."""

FamilyName = Literal["yolo", "ssdlite"]

ProfileVersion = Annotated[int, Meta(ge=1, le=1)]


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights that are not shipped: `file`, looked for in `$EDGELAB_HOME/models`, else at `url`.

    `sha256`: the file's, or its first digits.
    """

    file: Annotated[str, Meta(pattern=r"^[^/\\.][^/\\]*$", max_length=200)]
    url: Annotated[str, Meta(pattern="^https?://")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{8,64}$")]


class DetectorProfile(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="task",
    tag="detect",
):
    """A detector by name. `file` is relative to the profile; `iou`, `threshold`: chosen on val.

    `weights` in the place of `file`: what the file is exported from, or an .onnx of that name.
    `files`: the same model in other precisions, as `edgelab convert` leaves them.
    """

    schema_version: ProfileVersion
    title: Text
    family: FamilyName
    file: Text | None = None
    weights: Weights | None = None
    license: Text = "unknown"
    note: str = ""
    dataset: str | None = None
    iou: Share = 0.7
    threshold: Threshold = 0.5
    precisions: tuple[Precision, ...] = DETECTOR_PRECISIONS
    files: dict[Precision, Text] = {}

    def __post_init__(self) -> None:
        if (self.file is None) == (self.weights is None):
            raise ValueError("expected either file or weights, and not both")


class ClassifierProfile(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="task",
    tag="classify",
):
    """A classifier by name. `file`, an .onnx relative to the profile, tells classes and input.

    `dataset`: what it was trained on; where that has no splits of its own it was cut class by class
    by `val_share`, `test_share` and `split_seed`. `files`: as of a detector.
    """

    schema_version: ProfileVersion
    title: Text
    file: Text
    license: Text = "unknown"
    note: str = ""
    dataset: str | None = None
    val_share: HeldOut = 0.15
    test_share: HeldOut = 0.15
    split_seed: NotNegative = 0
    precisions: tuple[Precision, ...] = DETECTOR_PRECISIONS
    files: dict[Precision, Text] = {}


ModelProfile = DetectorProfile | ClassifierProfile
"""A model by name; its key `task` says what it is for."""


class HubModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model that is asked, by a name of its own: its repository and the commit that is meant.

    `onnx`: the repository's ONNX files are taken, which are asked without torch. `folder` in the
    place of `repository`: where files lie beside the profile, as `edgelab convert` leaves them.
    """

    schema_version: ProfileVersion
    title: Text
    repository: Text | None = None
    onnx: bool = False
    folder: Text | None = None
    revision: Text | None = None
    license: Text = "unknown"
    note: str = ""

    def __post_init__(self) -> None:
        if (self.repository is None) == (self.folder is None):
            raise ValueError("expected either repository or folder, and not both")


class GeneratedDataset(msgspec.Struct, frozen=True, tag_field="kind", tag="generated"):
    """A dataset that the project draws itself; the generator reads its own parameters."""

    schema_version: ProfileVersion
    title: Text
    generator: Literal["shapes", "charts"]
    default_split: Text = "test"
    calibration_split: str | None = "calibration"
    note: str = ""


class LocalDataset(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="local"
):
    """A dataset on disk: a COCO .json with `images`, a dataset .yaml, a folder of images, or a .csv
    of labels, or of questions with `images`.

    `classes`, `per_class`, `seed`: which sub-datasets are made of it. `missing`: what to do where
    it is not there.
    """

    schema_version: ProfileVersion
    title: Text
    path: Text
    images: Text | None = None
    default_split: Text = "val"
    calibration_split: str | None = None
    classes: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    per_class: Positive | None = None
    seed: NotNegative = 0
    missing: str = ""
    note: str = ""


DatasetProfile = GeneratedDataset | LocalDataset


@dataclass(frozen=True)
class Entry(Generic[P]):
    """One name of the catalogue: its profile, or the problem that makes it unusable."""

    name: str
    path: Path
    profile: P | None
    problem: str | None = None

    def require(self) -> P:
        """The profile; raises the Problem with which it could not be read."""
        if self.profile is None:
            raise Problem(self.problem or f"{self.path}: no profile")
        return self.profile


class Catalogue:
    """What is known by name. Reading is lazy: only the folder asked for is read."""

    def __init__(self, home: Home) -> None:
        self._roots = [home.profiles, shipped_profiles()]

    def models(self) -> list[Entry[ModelProfile]]:
        """All models, by name."""
        return self._entries("models", "*/model.toml", ModelProfile, lambda path: path.parent.name)

    def hub_models(self) -> list[Entry[HubModel]]:
        """All models of hubs, by name."""
        return self._entries("hub", "*.toml", HubModel, lambda path: path.stem)

    def hub_model(self, name: str) -> Entry[HubModel] | None:
        """The model of a hub of that name, or None."""
        return next((entry for entry in self.hub_models() if entry.name == name), None)

    def datasets(self) -> list[Entry[DatasetProfile]]:
        """All datasets, by name."""
        return self._entries("datasets", "*.toml", DatasetProfile, lambda path: path.stem)

    def boards(self) -> list[Entry[BoardProfile]]:
        """All boards, by name."""
        return self._entries("boards", "*.toml", BoardProfile, lambda path: path.stem)

    def references(self) -> list[Entry[Reference]]:
        """All published tables, by name."""
        return self._entries("references", "*.toml", Reference, lambda path: path.stem)

    def studies(self) -> list[Entry[StudyProfile]]:
        """All study profiles, by name."""
        return self._entries("studies", "*.toml", StudyProfile, lambda path: path.stem)

    def study(self, name: str) -> Entry[StudyProfile] | None:
        """The study profile of that name, or None."""
        return next((entry for entry in self.studies() if entry.name == name), None)

    def model(self, name: str) -> Entry[ModelProfile] | None:
        """The model of that name, or None."""
        return next((entry for entry in self.models() if entry.name == name), None)

    def dataset(self, name: str) -> Entry[DatasetProfile] | None:
        """The dataset of that name, or None."""
        return next((entry for entry in self.datasets() if entry.name == name), None)

    def reference(self, name: str) -> Entry[Reference] | None:
        """The published table of that name, or None."""
        return next((entry for entry in self.references() if entry.name == name), None)

    def _entries(self, folder: str, pattern: str, kind: Any, name_of: Any) -> list[Entry[Any]]:
        found: dict[str, Entry[Any]] = {}
        for root in self._roots:
            try:
                paths = sorted((root / folder).glob(pattern))
            except OSError as error:
                found[folder] = Entry(folder, root / folder, None, told(error))
                continue
            for path in paths:
                name = name_of(path)
                if name not in found:
                    found[name] = _entry(name, path, kind)
        return [found[name] for name in sorted(found)]


def checkpoint_of(entry: Entry[HubModel]) -> str:
    """Where a model that is asked comes from: a hub id, or a folder's path; raises its Problem."""
    profile = entry.require()
    return profile.repository or str(entry.path.parent / (profile.folder or ""))


def shipped_profiles() -> Path:
    """The folder of the `profiles` package, found without importing it."""
    spec = importlib.util.find_spec("profiles")
    if spec is None or not spec.submodule_search_locations:
        raise Problem("the profiles of edgelab are not installed: install edgelab again")
    return Path(next(iter(spec.submodule_search_locations)))


def _entry(name: str, path: Path, kind: Any) -> Entry[Any]:
    try:
        return Entry(name, path, read_toml(path, kind))
    except SchemaProblem as problem:
        return Entry(name, path, None, str(problem))
