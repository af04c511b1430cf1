"""Reading images as detectors want them: BGR, 8 bits, upright."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgelab.problem import Problem

Pixels = NDArray[np.uint8]
"""An image, (height, width, 3), BGR."""

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""File names that are taken for images when a folder is listed, in lower case."""

_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_START_OF_SCAN = 0xDA
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"


class ImageProblem(Problem):
    """One image that gives no pixels; a run records it and goes on."""


def read_image(path: Path) -> Pixels:
    """Read the image file at `path`; raises ImageProblem.

    Grey becomes three equal channels, an alpha channel is dropped, 16 bits lose their lower 8, and
    the orientation in EXIF is applied: what `cv2.IMREAD_COLOR` means, and what ultralytics does.
    """
    try:
        data = read_regular_file(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageProblem(f"cannot be read ({reason})") from None
    return decode_image(data)


def read_regular_file(path: Path) -> bytes:
    """The content of `path`; raises OSError, also for a pipe or device, which may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return path.read_bytes()


def decode_image(data: bytes) -> Pixels:
    """Decode a whole image file in memory; raises ImageProblem.

    A file that was cut off is refused: decoders would fill the missing part with grey.
    """
    if not data:
        raise ImageProblem("the file is empty")
    if _is_cut_off(data):
        raise ImageProblem("the image is cut off")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageProblem(_why(error)) from None
    if image is None:
        raise ImageProblem("not an image that OpenCV can decode")
    return image  # type: ignore[no-any-return]


def write_png(path: Path, image: Pixels) -> None:
    """As cv2.imwrite, which tells nobody why it failed; raises OSError."""
    encoded, png = cv2.imencode(".png", image)
    if not encoded:
        raise OSError(f"{path}: cannot be encoded as PNG")
    path.write_bytes(png.tobytes())


def _why(error: cv2.error) -> str:
    if "MAX_IMAGE" in str(error):
        return "the image claims more pixels than are allowed"
    return f"the image cannot be decoded ({error.err or error})"


def _is_cut_off(data: bytes) -> bool:
    """True for a JPEG or PNG whose end is missing; trailing bytes after the end are fine."""
    if data.startswith(_JPEG_START):
        return data.rfind(_JPEG_END, _first_scan(data)) < 0
    if data.startswith(_PNG_START):
        return data.rfind(_PNG_END) < 0
    return False


def _first_scan(data: bytes) -> int:
    """Where the pixels of a JPEG begin: behind its headers, which may hold a whole thumbnail.

    Segments are a marker (0xFF, code) and a big-endian length: ITU-T T.81, B.1.1.4.
    """
    position = len(_JPEG_START)
    while position + 4 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == _JPEG_START_OF_SCAN:
            return position
        if data[position + 1] == 0xFF:  # a fill byte
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return min(position, len(data))
