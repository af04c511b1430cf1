"""What `runners.prepare` leaves for the measuring processes: artifacts/prepared.json.

It holds everything that a pass needs, so that a pass reads no dataset and loads no converter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.executed import ExecutedPrecision
from edgelab.graph_cost import GraphCost
from edgelab.problem import Problem
from edgelab.run_folder import RunFolder
from edgelab.schema import SchemaProblem
from edgelab.settings.common import NotNegative, Positive, Precision, Share, Text
from runners.datasets.dataset import Sample

T = TypeVar("T")

PREPARED_VERSION = 1


class PreparedImage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image to run. `truth`: objects by counted class; `problem`: why it cannot be run.

    `evaluated`: the counted classes whose sub-datasets it belongs to; None: all.
    """

    name: str
    path: str = ""
    truth: dict[int, int] | None = None
    evaluated: tuple[NotNegative, ...] | None = None
    problem: str | None = None

    @staticmethod
    def of(sample: Sample) -> PreparedImage:
        """The image of a dataset, by a path that holds for every process."""
        path = str(sample.path.absolute()) if sample.path is not None else ""
        return PreparedImage(sample.name, path, sample.truth, sample.evaluated, sample.problem)


class PreparedModel(msgspec.Struct, frozen=True):
    """The model file of one precision, what it really executes and what an image costs."""

    name: Text
    path: Text
    sha256: Text
    size_bytes: Positive
    executed: ExecutedPrecision
    cost: GraphCost | None = None


class Prepared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`to_counted`: model class index -> counted class index, None where it is not counted. `iou`:
    of a detector. An image for classification holds one object, its class.

    A precision of the run is either in `models` or, with the reason, in `problems`.
    """

    version: Annotated[int, Meta(ge=PREPARED_VERSION, le=PREPARED_VERSION)]
    input_size: tuple[Positive, Positive]  # height, width, px
    model_classes: tuple[str, ...]
    to_counted: tuple[NotNegative | None, ...]
    models: dict[Precision, PreparedModel]
    problems: dict[Precision, str]
    images: tuple[PreparedImage, ...]
    dataset_sha256: str = ""
    iou: Share | None = None

    def model(self, precision: Precision) -> PreparedModel:
        """The model of that precision; raises the Problem that prevented it."""
        if precision not in self.models:
            raise Problem(self.problems.get(precision, f"no {precision} model was prepared"))
        return self.models[precision]


def write_prepared(folder: RunFolder, prepared: Prepared) -> None:
    """Write it durably; raises OSError.

    Raises Problem in a resumed run whose data or models are not what its items were measured with:
    figures of both must not be mixed.
    """
    if folder.items.exists() and _path(folder).exists():
        _must_match(read_prepared(folder), prepared)
    replace_file(_path(folder), msgspec.json.encode(prepared))


def _must_match(before: Prepared, now: Prepared) -> None:
    changed = [
        f"the {precision} model"
        for precision, model in before.models.items()
        if precision not in now.models or now.models[precision].sha256 != model.sha256
    ]
    if (before.dataset_sha256, before.images) != (now.dataset_sha256, now.images):
        changed.insert(0, "the dataset")
    if changed:
        raise Problem(
            f"{' and '.join(changed)} changed since the run began: start a new run, this one "
            "cannot go on"
        )


def read_prepared(folder: RunFolder) -> Prepared:
    """Read and check it; raises SchemaProblem."""
    return read_prepared_file(_path(folder), Prepared)


def read_prepared_file(path: Path, kind: type[T]) -> T:
    """Read and check a file, straight into its types to spare memory; raises SchemaProblem."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise SchemaProblem(f"{path}: cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaProblem(f"{path}: {error}") from None


def _path(folder: RunFolder) -> Path:
    return folder.artifacts / "prepared.json"
