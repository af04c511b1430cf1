"""Fitting images into a detector's input, and boxes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runners.letterbox import PADDING_GREY, Fit, Letterbox

sides = st.integers(1, 400)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_wide_image_is_padded_above_and_below() -> None:
    assert Fit.of((720, 1280), (640, 640)) == Fit((720, 1280), (360, 640), top=140, left=0)


def test_an_odd_remainder_goes_below() -> None:
    assert Fit.of((61, 64), (64, 64)).top == 1


def test_the_tensor_is_rgb_from_0_to_1_with_grey_around() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[...] = (0, 51, 255)  # blue, green, red
    tensor, _ = Letterbox((64, 64))(image)
    assert tensor.shape == (1, 3, 64, 64)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor[0, :, 32, 10], np.float32([1, 0.2, 0]))
    np.testing.assert_array_equal(tensor[0, :, 0, 0], np.float32([PADDING_GREY / 255] * 3))


def test_an_earlier_image_leaves_no_trace() -> None:
    letterbox = Letterbox((64, 64))
    tall, wide = noise(64, 20), noise(20, 64, seed=1)
    letterbox(tall)
    after, _ = letterbox(wide)
    alone, _ = Letterbox((64, 64))(wide)
    np.testing.assert_array_equal(after, alone)


def test_half_precision_input() -> None:
    tensor, _ = Letterbox((32, 32), np.float16)(noise(32, 32))
    full, _ = Letterbox((32, 32))(noise(32, 32))
    assert tensor.dtype == np.float16
    np.testing.assert_array_equal(tensor, full.astype(np.float16))


@given(height=sides, width=sides, target=st.sampled_from([(64, 64), (96, 160), (320, 320)]))
def test_boxes_come_back_to_where_they_were(
    height: int, width: int, target: tuple[int, int]
) -> None:
    fit = Fit.of((height, width), target)
    corners = np.float32([[0, 0, width, height], [0, 0, width / 2, height / 3]])
    gain = np.float32([fit.scaled_size[1] / width, fit.scaled_size[0] / height] * 2)
    inside = corners * gain + np.float32([fit.left, fit.top] * 2)
    np.testing.assert_allclose(fit.to_image(inside), corners, rtol=1e-4, atol=1e-3)
    outside = np.float32([[-1e6, -1e6, 1e6, 1e6]])
    np.testing.assert_array_equal(fit.to_image(outside), [[0, 0, width, height]])


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, target=st.sampled_from([(64, 64), (96, 160), (320, 320)]))
@example(height=1, width=400, target=(64, 64))
@example(height=320, width=320, target=(320, 320))
def test_equals_ultralytics(height: int, width: int, target: tuple[int, int]) -> None:
    pytest.importorskip("ultralytics")
    from ultralytics.data.augment import LetterBox

    image = noise(height, width)
    theirs = LetterBox(target)(image=image)[..., ::-1].transpose(2, 0, 1) / np.float32(255)
    mine, _ = Letterbox(target)(image)
    np.testing.assert_array_equal(mine[0], theirs)
