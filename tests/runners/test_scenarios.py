"""How images come to the detector: both scenarios give the same, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from runners.detections import Selection
from runners.detector import Detector
from runners.prepared import PreparedImage
from runners.scenarios import READY_AHEAD, Query, offline, single_stream
from tests.runners.colour_detector import some_cells, write_cells

IMAGES = 3 * READY_AHEAD


@pytest.fixture
def detector(colour_model: Path) -> Detector:
    return Detector(colour_model, (64, 64), Selection(0.05, 0.7), threads=1)


@pytest.fixture
def queries(tmp_path: Path) -> list[Query]:
    """Images of different sizes; one is missing, one was refused before."""
    paths = [
        write_cells(tmp_path / f"{index}.png", some_cells(index, 5), size=64 + 8 * (index % 3))
        for index in range(IMAGES)
    ]
    paths[4].unlink()
    images = [PreparedImage(path.name, str(path)) for path in paths]
    images[6] = PreparedImage("../secret.png", problem="leads out")
    return [Query(index, image) for index, image in enumerate(images)]


def test_both_scenarios_ready_the_same(detector: Detector, queries: list[Query]) -> None:
    ahead = offline(queries, detector)
    for one, query in zip(single_stream(queries, detector), queries, strict=True):
        other = next(ahead)
        assert one.query == other.query == query
        assert one.fit == other.fit
        assert one.problem == other.problem
        np.testing.assert_array_equal(one.tensor, other.tensor)
    with pytest.raises(StopIteration):
        next(ahead)


def test_problems_take_the_image_s_place(detector: Detector, queries: list[Query]) -> None:
    ready = list(single_stream(queries, detector))
    assert {each.query.index for each in ready if each.tensor is None} == {4, 6}
    assert ready[4].problem == "cannot be read (No such file or directory)"
    assert ready[6].problem == "leads out"


@pytest.mark.parametrize("taken", [0, 1, READY_AHEAD])
def test_readers_end_when_nobody_asks_any_more(
    detector: Detector, queries: list[Query], taken: int
) -> None:
    asked: list[int] = []

    def watched() -> Iterator[Query]:
        for query in queries:
            asked.append(query.index)
            yield query

    with closing(offline(watched(), detector)) as ready:
        for _ in range(taken):
            next(ready)
    assert len(asked) <= READY_AHEAD + taken


def test_an_unexpected_error_reaches_the_pass(
    detector: Detector, queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise MemoryError(path.name)

    monkeypatch.setattr("runners.scenarios.read_image", fail)
    with pytest.raises(MemoryError, match=r"0\.png"):
        list(offline(queries, detector))
