"""The images of a split in memory, checked once; what cannot be read is named and left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgelab.problem import Problem
from runners.classify_input import resized
from runners.datasets.labelled import Picture
from runners.images import ImageProblem, Pixels

MEMORY_BYTES = 1 << 30
"""What all resized images together may take; those beyond are read again at each use."""


class Pictures:
    """A split whose images have been read once. `labels` and `pixels` go by the same index."""

    def __init__(self, pictures: Sequence[Picture], side: int, kept: dict[int, Pixels]) -> None:
        self.labels = tuple(picture.label for picture in pictures)
        self.names = tuple(picture.name for picture in pictures)
        self._pictures = pictures
        self._side = side
        self._kept = kept

    def __len__(self) -> int:
        return len(self._pictures)

    def pixels(self, index: int) -> Pixels:
        """The image of that index, (side, side, 3), BGR; do not write into it."""
        kept = self._kept.get(index)
        return kept if kept is not None else resized(self._pictures[index].read(), self._side)


def read_pictures(
    split: str,
    pictures: Sequence[Picture],
    side: int,
    on_image: Callable[[int], None],
    warn: Callable[[str], None],
    memory: int = MEMORY_BYTES,
) -> Pictures:
    """Read every image of a split; raises Problem where none can be read.

    `warn` gets one sentence that names the first image that cannot, and how many there are.
    """
    good: list[Picture] = []
    kept: dict[int, Pixels] = {}
    bad: list[str] = []
    for done, picture in enumerate(pictures, 1):
        try:
            pixels = resized(picture.read(), side)
        except ImageProblem as problem:
            bad.append(f"{picture.name}: {problem}")
        else:
            if (len(kept) + 1) * pixels.nbytes <= memory:
                kept[len(good)] = pixels
            good.append(picture)
        on_image(done)
    if bad:
        warn(f"{split}: {len(bad)} of {len(pictures)} images cannot be read: {bad[0]}")
    if not good:
        raise Problem(f"{split}: no image can be read; the first one: {bad[0]}")
    return Pictures(good, side, kept)
