"""Images as cameras, tools and accidents make them."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runners.images import ImageProblem, decode_image, read_image

RED, GREY = (0, 0, 255), 77


def encoded(suffix: str, image: NDArray[np.generic]) -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()


def picture(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """Grey, with a red upper left corner."""
    image = np.full((height, width, 3), GREY, np.uint8)
    image[: height // 2, : width // 3] = RED
    return image


def exif_rotated(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that says how it was held (TIFF 6.0, tag 0x0112)."""
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation]) + b"\0" * 6
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body + jpeg[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_lossless_kinds(suffix: str) -> None:
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    data = cv2.imencode(suffix, picture(), options)[1].tobytes()
    np.testing.assert_array_equal(decode_image(data), picture())


def test_jpeg() -> None:
    image = decode_image(encoded(".jpg", picture()))
    assert image.shape == (40, 60, 3)
    np.testing.assert_allclose(image[35, 50], [GREY] * 3, atol=2)


def test_grey_becomes_three_channels() -> None:
    image = decode_image(encoded(".png", np.full((4, 5), GREY, np.uint8)))
    np.testing.assert_array_equal(image, np.full((4, 5, 3), GREY, np.uint8))


def test_alpha_is_dropped() -> None:
    with_alpha = np.dstack([picture(), np.zeros((40, 60), np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(".png", with_alpha)), picture())


def test_16_bits_keep_the_upper_8() -> None:
    deep = picture().astype(np.uint16) * 256 + 200
    image = decode_image(encoded(".png", deep))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, picture())


def test_16_bit_grey() -> None:
    deep = np.full((4, 5), GREY * 256, np.uint16)
    image = decode_image(encoded(".png", deep))
    np.testing.assert_array_equal(image, np.full((4, 5, 3), GREY, np.uint8))


def test_exif_turns_the_image_upright() -> None:
    upright = decode_image(exif_rotated(encoded(".jpg", picture()), orientation=6))
    assert upright.shape == (60, 40, 3)
    np.testing.assert_allclose(upright[5, 35], RED, atol=20)  # a quarter turn: now upper right


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_cut_off_images_are_refused(suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(suffix, noise)
    with pytest.raises(ImageProblem, match="cut off"):
        decode_image(data[: int(len(data) * share)])


def test_a_whole_thumbnail_does_not_hide_the_cut() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg, thumbnail = encoded(".jpg", noise), encoded(".jpg", picture(8, 8))
    segment = b"\xff\xe2" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    decode_image(jpeg[:2] + segment + jpeg[2:])
    with pytest.raises(ImageProblem, match="cut off"):
        decode_image(jpeg[:2] + segment + jpeg[2:-100])


def test_bytes_behind_the_end_are_fine() -> None:
    for suffix in (".jpg", ".png"):
        assert decode_image(encoded(suffix, picture()) + b"\0" * 100).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no image at all", "not an image that OpenCV can decode"),
        (b"\xff\xd8", "cut off"),
        (b"\x89PNG\r\n\x1a\n", "cut off"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""), "not an image"),
    ],
)
def test_what_is_no_image(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(ImageProblem, match=reason):
        read_image(path)


@pytest.mark.parametrize("name", ["missing.png", "n\0ull.png", "x" * 300, "."])
def test_what_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageProblem, match="cannot be read"):
        read_image(tmp_path / name)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "image.png")
    with pytest.raises(ImageProblem, match="not a regular file"):
        read_image(tmp_path / "image.png")


def test_an_image_that_claims_absurdly_many_pixels_is_refused() -> None:
    header = (60_000).to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])  # 1 bit grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b""))
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    program = (
        "import sys; from runners.images import *\n"
        "try: decode_image(sys.stdin.buffer.read())\n"
        "except ImageProblem as problem: print(problem)"
    )  # OpenCV reads the limit when it is loaded: in a process where runners come first
    done = subprocess.run([sys.executable, "-c", program], input=bomb, capture_output=True)
    assert done.stdout == b"the image claims more pixels than are allowed\n"


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM"]))
def test_no_bytes_crash_it(data: bytes, start: bytes) -> None:
    try:
        image = decode_image(start + data)
    except ImageProblem:
        return
    assert image.ndim == 3
