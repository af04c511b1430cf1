"""Labelled pictures as image files, which a measuring process reads without their source.

What is no file of its own (an array, a row of a table, a crop) is written once as PNG, which keeps
every bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from runners.datasets.labelled import Picture
from runners.images import ImageProblem, write_png
from runners.prepared import PreparedImage


def as_files(
    pictures: Sequence[Picture], folder: Path, on_image: Callable[[int], None]
) -> tuple[PreparedImage, ...]:
    """Each picture as a file: its own, or one in `folder`. Raises OSError.

    One that cannot be read keeps its place, with its problem.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number, picture in enumerate(pictures):
        images.append(_as_file(picture, folder / f"{number:06d}.png"))
        on_image(number + 1)
    return tuple(images)


def _as_file(picture: Picture, path: Path) -> PreparedImage:
    truth = {picture.label: 1}
    if picture.path is not None:
        return PreparedImage(picture.name, str(picture.path.absolute()), truth)
    try:
        write_png(path, picture.read())
    except ImageProblem as problem:
        return PreparedImage(picture.name, "", truth, problem=str(problem))
    return PreparedImage(picture.name, str(path), truth)
