"""From the names a person gave to a classifier that can be run, and to its labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgelab.catalogue import Catalogue, ClassifierProfile
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.classify import ClassifySettings
from runners.classifier_file import ClassifierFile, read_classifier
from runners.classify_input import CLASSIFY
from runners.conversion import Pool
from runners.datasets.dataset import WHOLE, evenly
from runners.datasets.labelled import SPLITS, Labelled, Picture, limited, make_splits
from runners.datasets.labelled_sources import open_labelled
from runners.datasets.picture_files import as_files
from runners.drawing import Drawing
from runners.model_file import find_model, load_graph, read_metadata
from runners.model_folder import CarriedFiles
from runners.step import RunningStep

TEST, VAL = "test", "val"

CHECKED_IMAGES = 100
"""One answer more or less is much of twenty."""

_UNKNOWN = ClassifierProfile(schema_version=1, title="a file", file="-")
"""How a model without a profile was trained: as one is where nothing is said."""


@dataclass(frozen=True)
class FoundClassifier:
    """A classifier's file and, where it is known by name, its profile and what that brings."""

    file: ClassifierFile
    profile: ClassifierProfile | None = None
    carried: CarriedFiles | None = None


def open_classifier(
    model: str, catalogue: Catalogue, image_size: int | None = None
) -> FoundClassifier:
    """Find `model`, a name of the catalogue or a path; raises Problem where it is no classifier."""
    name, path, profile = find_model(model, catalogue, ClassifierProfile)
    file = read_classifier(path, name, image_size)
    if profile is None:
        return FoundClassifier(file)
    return FoundClassifier(file, profile, CarriedFiles(file, path.parent, profile.files))


def is_classifier(model: str, catalogue: Catalogue) -> bool:
    """True where the profile or, of a file without one, its own metadata say so; raises Problem."""
    entry = catalogue.model(model)
    if entry is not None:
        return isinstance(entry.require(), ClassifierProfile)
    path = Path(model).expanduser()
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return False
    properties = load_graph(path.read_bytes(), path).metadata_props
    return read_metadata({each.key: each.value for each in properties}, path).task == CLASSIFY


@dataclass(frozen=True)
class ClassifierData:
    """The labelled images of a run, cut as it says, else as the model's training cut them."""

    settings: ClassifySettings
    profile: ClassifierProfile | None
    labelled: Labelled

    @classmethod
    def open(
        cls,
        step: RunningStep,
        home: Home,
        settings: ClassifySettings,
        profile: ClassifierProfile | None,
        needed: Sequence[str],
    ) -> ClassifierData:
        """Read them; only the splits that are `needed` are drawn. Raises Problem."""
        step.phase("read the dataset")
        where = settings.dataset, settings.images
        labelled = open_labelled(*where, Catalogue(home), home, Drawing(step), needed)
        return cls(settings, profile, labelled)

    def of(self, split: str) -> list[Picture]:
        """The pictures of a split, or all; raises Problem where there is no such split."""
        if split == WHOLE:
            found = [each for part in self.labelled.pictures.values() for each in part]
        elif split in SPLITS:
            found = list(self._part(split))
        else:
            raise Problem(f"split = {split!r}: expected {', '.join(SPLITS)} or {WHOLE}")
        return limited(found, self.settings.limit)

    def pool(self, step: RunningStep, split: str) -> Pool:
        """Images of a split, some to calibrate on and others to check the outcome on."""
        wanted = self.settings.calibration_images
        chosen = evenly(self._part(split), wanted + CHECKED_IMAGES)
        step.phase("read the images that calibrate", len(chosen))
        images = as_files(chosen, step.folder.artifacts / split, step.progress)
        paths = [Path(image.path) for image in images if image.problem is None]
        return Pool.of(paths, wanted, most=CHECKED_IMAGES)

    def _part(self, split: str) -> tuple[Picture, ...]:
        """The data's own split, whole; else as they are cut."""
        data, settings = self.labelled, self.settings
        if not data.pictures.keys() & {None, "train"} and split in data.pictures:
            return data.pictures[split]
        trained = self.profile or _UNKNOWN
        return make_splits(
            data,
            settings.val_share or trained.val_share,
            settings.test_share or trained.test_share,
            trained.split_seed if settings.split_seed is None else settings.split_seed,
        ).of(split)
