"""The SSDLite family without torch: reading heads, what is refused, how images are stretched."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runners.detections import Detections, HeadProblem, NotFinite, Selection
from runners.family import open_family
from runners.ssdlite import Ssdlite, Stretch, encode_anchors

SIZE = (64, 96)  # height, width


def some_anchors(count: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres, sides = rng.uniform(0, 64, (count, 2)), rng.uniform(6, 40, (count, 2))
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.float32)


def heads(seed: int, count: int, classes: int = 3) -> list[NDArray[np.float32]]:
    """Logits of few values, so that there are ties, and box regression."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(-4, 5, (1, count, 1 + classes)) / 2
    regression = rng.normal(0, 2, (1, count, 4))
    return [logits.astype(np.float32), regression.astype(np.float32)]


def logits_of(scores: list[list[float]]) -> NDArray[np.float32]:
    """Those that give these shares of background and classes, one row an anchor."""
    return np.log(np.array([scores], np.float32))


def detect(anchors: NDArray[np.float32], scores: list[list[float]]) -> Detections:
    """With boxes that are the anchors, and an IoU of 0.5."""
    outputs = [logits_of(scores), np.zeros((1, len(anchors), 4), np.float32)]
    return Ssdlite(SIZE, anchors).detect(outputs, Selection(0.05, 0.5))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    threshold=st.sampled_from([0.1, 0.3, 0.5, 0.7]),
    limit=st.sampled_from([3, 20, 300]),
    iou=st.sampled_from([0.3, 0.55]),
)
def test_thresholds_of_one_pass_equal_separate_passes(
    seed: int, threshold: float, limit: int, iou: float
) -> None:
    family = Ssdlite(SIZE, some_anchors(900, seed))
    outputs = heads(seed, 900)
    together = family.detect(outputs, Selection(0.05, iou, limit))
    alone = family.detect(outputs, Selection(threshold, iou, limit))
    kept = together.scores > np.float32(threshold)
    assert together.counts(threshold) == alone.counts(threshold)
    np.testing.assert_array_equal(together.boxes[kept], alone.boxes)


def test_the_best_come_first_and_stay_inside() -> None:
    found = Ssdlite(SIZE, some_anchors(300)).detect(heads(1, 300), Selection(0.05, 0.55))
    assert len(found.scores) > 20
    assert (np.diff(found.scores) <= 0).all()
    assert found.boxes.min() >= 0
    assert (found.boxes <= [96, 64, 96, 64]).all()


def test_overlaps_go_within_a_class_only() -> None:
    box = [10, 10, 30, 30]
    anchors = np.array([box, box, box], np.float32)
    rows = [[0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.2, 0.1, 0.7]]
    found = detect(anchors, rows)
    assert found.counts(0.5) == {0: 1, 1: 1}
    assert found.scores[:2] == pytest.approx([0.8, 0.7])
    np.testing.assert_array_equal(found.boxes[0], box)


def test_background_is_no_detection() -> None:
    found = detect(some_anchors(2), [[0.98, 0.01, 0.01], [0.97, 0.02, 0.01]])
    assert found.rows() == ()


def test_a_box_is_moved_and_scaled_by_the_weights_of_ssd() -> None:
    anchors = np.array([[20, 20, 40, 40]], np.float32)
    regression = np.array([[[5, 0, 5 * np.log(2), 1000]]], np.float32)  # half a side to the right
    outputs = [logits_of([[0.1, 0.9]]), regression]
    found = Ssdlite((2000, 2000), anchors).detect(outputs, Selection(0.05, 0.5))
    # Twice as wide; its height grows no more than 1000 / 16 times, to 1250, and is clipped at 0.
    np.testing.assert_allclose(found.boxes, [[20, 0, 60, 655]], rtol=1e-6)


def test_heads_that_are_no_numbers_are_a_problem_of_the_image() -> None:
    outputs = heads(0, 20)
    outputs[0][0, 3, 1] = np.nan
    with pytest.raises(NotFinite, match="not numbers"):
        Ssdlite(SIZE, some_anchors(20)).detect(outputs, Selection(0.05, 0.5))


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 20, 4)],
        [(1, 19, 6), (1, 19, 4)],
        [(1, 20, 6), (1, 20, 5)],
        [(1, 20, 1), (1, 20, 4)],
        [(1, 6, 20), (1, 4, 20)],
        [(20, 6), (20, 4)],
    ],
)
def test_other_outputs_are_refused(shapes: list[tuple[int, ...]]) -> None:
    family = Ssdlite(SIZE, some_anchors(20))
    assert family.classes([(1, 20, 6), (1, 20, 4)]) == 5
    with pytest.raises(HeadProblem, match=r"expected class logits \(1, 20, 1 \+ classes\)"):
        family.classes(shapes)


def test_anchors_survive_the_metadata() -> None:
    anchors = some_anchors(50)
    properties = {"family": "ssdlite", "anchors": encode_anchors(anchors)}
    family = open_family(properties, SIZE)
    assert isinstance(family, Ssdlite)
    np.testing.assert_array_equal(family.anchors, anchors)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"12345").decode(),
        base64.b64encode(bytes(20)).decode(),
        encode_anchors(np.full((1, 4), np.nan, np.float32)),
    ],
)
def test_broken_anchors_are_refused(text: str) -> None:
    with pytest.raises(HeadProblem, match=r"metadata anchors = .*four an anchor"):
        open_family({"family": "ssdlite", "anchors": text}, SIZE)


def test_other_families_are_refused() -> None:
    with pytest.raises(HeadProblem, match="metadata family = 'detr': expected 'yolo' or 'ssdlite'"):
        open_family({"family": "detr"}, SIZE)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_an_image_is_stretched_and_its_boxes_come_back(dtype: type) -> None:
    image = np.zeros((30, 20, 3), np.uint8)
    image[..., 2] = 255  # red
    tensor, fit = Stretch(SIZE, dtype)(image)
    assert (tensor.shape, tensor.dtype) == ((1, 3, *SIZE), dtype)
    assert (tensor[0, 0] == 1).all()
    assert (tensor[0, 1:] == -1).all()
    boxes = fit.to_image(np.array([[0, 0, 96, 64], [48, 32, 96, 64]], np.float32))
    np.testing.assert_allclose(boxes, [[0, 0, 20, 30], [10, 15, 20, 30]], rtol=1e-6)
