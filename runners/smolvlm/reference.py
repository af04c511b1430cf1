"""What a checkpoint answers with torch: the standard that its ONNX files are held against.

Questions are put on images that the shapes dataset's generator draws, so that nothing has to be on
the board. `artifacts/reference.json` holds the words, `reference.npy` beside it the logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgelab.catalogue import shipped_profiles
from edgelab.durable import replace_file
from edgelab.problem import Problem
from edgelab.run_folder import RunFolder
from edgelab.schema import read_json
from edgelab.settings.common import NotNegative, Text
from runners.datasets.shapes import draw_image, read_profile
from runners.images import Pixels

VERSION = 1

IMAGES = 2
QUESTIONS = (
    "How many circles are there in this image? Answer with a number only.",
    "What is in this image?",
)
MOST_TOKENS = 8
"""Of an answer: enough for a cache that is read as it grows."""

Floats = NDArray[np.float32]


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question on a drawn image, the ids of its whole prompt, and those of the answer."""

    image: NotNegative
    question: Text
    prompt: tuple[int, ...]
    tokens: Annotated[tuple[int, ...], Meta(min_length=1)]


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint's replies. `model`: what it is called in a run; `title`: to a person."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    model: Text
    title: Text
    license: str
    folder: Text
    sha256: Text
    size_bytes: NotNegative
    replies: Annotated[tuple[Reply, ...], Meta(min_length=1)]


def questions() -> Iterator[tuple[int, str]]:
    """All that is asked: an image's index and a question."""
    for image in range(IMAGES):
        for question in QUESTIONS:
            yield image, question


def picture(index: int) -> Pixels:
    """The drawn image of that index, the same on every board."""
    profile = read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    return draw_image(profile, "calibration", index)[0]


def write_reference(folder: RunFolder, reference: Reference, logits: Sequence[Floats]) -> None:
    """`logits` of each reply: (its tokens, vocabulary), each behind the tokens before it."""
    folder.artifacts.mkdir(parents=True, exist_ok=True)
    np.save(folder.artifacts / "reference.npy", np.concatenate(logits))
    replace_file(folder.artifacts / "reference.json", msgspec.json.encode(reference))


def read_reference(folder: RunFolder) -> tuple[Reference, list[Floats]]:
    """Both again; raises Problem where they are damaged."""
    reference = read_json(folder.artifacts / "reference.json", Reference)
    file = folder.artifacts / "reference.npy"
    try:
        rows: Floats = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise Problem(f"{file}: cannot be read ({error})") from None
    lengths = [len(each.tokens) for each in reference.replies]
    if len(rows) != sum(lengths):
        raise Problem(f"{file}: {len(rows)} rows of logits for {sum(lengths)} tokens")
    return reference, np.split(rows, np.cumsum(lengths)[:-1])
