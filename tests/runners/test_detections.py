"""Post-processing: suppression, thresholds, both kinds of output."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runners.detections import Detections, HeadProblem, NotFinite, Selection, suppress
from runners.yolo import Yolo

SIZE = 256
YOLO = Yolo((SIZE, SIZE))


def random_head(seed: int, anchors: int, classes: int = 3) -> NDArray[np.float32]:
    """A raw head of crowded boxes; scores have few values, so that there are ties."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, SIZE, (2, anchors)), rng.uniform(5, 90, (2, anchors))])
    scores = rng.integers(0, 200, (classes, anchors)) / 200
    return np.concatenate([boxes, scores])[None].astype(np.float32)


def random_end_to_end(seed: int, rows: int) -> NDArray[np.float32]:
    """Final detections in no order, as nobody promises one."""
    rng = np.random.default_rng(seed)
    output = rng.uniform(0, SIZE, (1, rows, 6)).astype(np.float32)
    output[..., 4] = rng.integers(0, 100, (1, rows)) / np.float32(100)
    output[..., 5] = rng.integers(0, 3, (1, rows))
    return output


def greedy(boxes: NDArray[np.float32], iou: float, limit: int) -> list[int]:
    """Suppression as the definition says it, one pair after the other."""
    kept: list[int] = []
    for index in range(len(boxes)):
        if all(overlap(boxes[index], boxes[other]) <= np.float32(iou) for other in kept):
            kept.append(index)
    return kept[:limit]


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    """Intersection over union, in float32."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), np.float32(0))
    height = max(min(a[3], b[3]) - max(a[1], b[1]), np.float32(0))
    common = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return np.float32(common / union)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    count=st.integers(0, 300),
    iou=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    limit=st.sampled_from([1, 10, 300]),
)
def test_suppression_is_greedy(seed: int, count: int, iou: float, limit: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 40, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 30, (count, 2))], axis=1).astype(np.float32)
    assert suppress(boxes, iou, limit).tolist() == greedy(boxes, iou, limit)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    end_to_end=st.booleans(),
    threshold=st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]),
    limit=st.sampled_from([3, 20, 300]),
)
def test_thresholds_of_one_pass_equal_separate_passes(
    seed: int, end_to_end: bool, threshold: float, limit: int
) -> None:
    output = random_end_to_end(seed, 60) if end_to_end else random_head(seed, 500)
    together = YOLO.detect([output], Selection(0.05, 0.6, limit))
    alone = YOLO.detect([output], Selection(threshold, 0.6, limit))
    assert together.counts(threshold) == alone.counts(threshold)
    kept = together.scores > np.float32(threshold)
    np.testing.assert_array_equal(together.boxes[kept], alone.boxes)


def test_a_threshold_is_passed_only_from_above() -> None:
    output = np.zeros((1, 5, 2), np.float32)
    output[0, :, 0] = [10, 10, 5, 5, 0.3]
    output[0, :, 1] = [50, 50, 5, 5, np.nextafter(np.float32(0.3), np.float32(1))]
    found = YOLO.detect([output], Selection(0.05, 0.7))
    assert found.counts(0.3) == {0: 1}


def test_classes_do_not_suppress_each_other() -> None:
    output = np.zeros((1, 6, 2), np.float32)
    output[0, :4] = np.float32([50, 50, 20, 20])[:, None]
    output[0, 4, 0] = output[0, 5, 1] = 0.9
    assert YOLO.detect([output], Selection(0.05, 0.5)).counts(0.5) == {0: 1, 1: 1}


def test_rows_lose_nothing_that_a_threshold_needs() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 1, 1000).astype(np.float32)
    found = Detections(np.zeros((1000, 4), np.float32), scores, np.zeros(1000, np.intp))
    read = msgspec.json.decode(msgspec.json.encode(found.rows()))
    np.testing.assert_array_equal(np.float32([row[4] for row in read]), scores)


def test_an_empty_output_has_no_detections() -> None:
    found = YOLO.detect([np.zeros((1, 84, 10), np.float32)], Selection(0.05, 0.5))
    assert found.rows() == ()
    assert found.counts(0.5) == {}


def test_boxes_that_are_no_numbers_are_a_problem_of_the_image() -> None:
    output = random_head(0, 20)
    output[0, 0] = np.nan
    with pytest.raises(NotFinite, match="not numbers"):
        YOLO.detect([output], Selection(0.05, 0.5))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(1, 7, 20), (1, 20, 6)])
def test_scores_that_are_no_numbers_are_a_problem_of_the_image(
    shape: tuple[int, ...], value: float
) -> None:
    output = np.zeros(shape, np.float32)
    output[0, 5, 4] = value
    with pytest.raises(NotFinite, match="scores that are not numbers"):
        YOLO.detect([output], Selection(0.05, 0.5))


@pytest.mark.parametrize("shape", [(84, 10), (2, 84, 10), (1, 84, 10, 1)])
def test_other_outputs_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(HeadProblem, match="expected"):
        YOLO.detect([np.zeros(shape, np.float32)], Selection(0.05, 0.5))
