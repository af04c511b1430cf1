"""The annotated boxes of a run: artifacts/boxes.json, beside prepared.json.

A file of its own: measuring processes read no box, for their peak memory is a deployment's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.run_folder import RunFolder
from edgelab.schema import SchemaProblem
from runners.datasets.dataset import Box, Dataset

BOXES_VERSION = 1


class PreparedBoxes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The boxes of each image, in the order of the dataset; None: not known.

    `relative`: in shares of the image's sides, not in px.
    """

    version: Annotated[int, Meta(ge=BOXES_VERSION, le=BOXES_VERSION)]
    relative: bool
    images: tuple[tuple[Box, ...] | None, ...]


def write_boxes(folder: RunFolder, dataset: Dataset) -> None:
    """Write them durably; raises OSError."""
    boxes = tuple(sample.boxes for sample in dataset.samples)
    data = msgspec.json.encode(PreparedBoxes(BOXES_VERSION, dataset.relative_boxes, boxes))
    replace_file(_path(folder), data)


def read_boxes(folder: RunFolder) -> PreparedBoxes | None:
    """Read and check them; None where the run has none. Raises SchemaProblem."""
    path = _path(folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=PreparedBoxes)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaProblem(f"{path}: {error}") from None


def _path(folder: RunFolder) -> Path:
    return folder.artifacts / "boxes.json"
