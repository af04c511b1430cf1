from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelab.paired import image_errors, paired_counts, paired_difference
from edgelab.records import Item
from edgelab.settings.common import Precision
from edgelab.tally import PassTally

errors = st.lists(st.integers(0, 9), min_size=2, max_size=20)


@settings(max_examples=20)
@given(errors, st.randoms(use_true_random=False))
def test_swapping_the_two_turns_the_sign(first: list[int], random: random.Random) -> None:
    second = random.sample(first, len(first))
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there.difference == pytest.approx(-back.difference)
    assert there.difference == pytest.approx(fmean(second) - fmean(first))
    assert there.distinguishable == back.distinguishable or 0 in (there.low, there.high)


def test_the_same_errors_cannot_be_told_apart() -> None:
    same = paired_difference([0, 1, 2, 3] * 10, [0, 1, 2, 3] * 10)
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert "not distinguishable" in same.words


def test_a_constant_difference_is_certain_however_hard_the_images() -> None:
    first = [float(index % 17) for index in range(50)]
    found = paired_difference(first, [each + 1 for each in first])
    assert (found.difference, found.low, found.high) == (1, 1, 1)
    assert found.words.endswith("higher")


def test_a_seed_decides_the_interval() -> None:
    first, second = [0.0] * 30, [float(index % 3) for index in range(30)]
    assert paired_difference(first, second, 1) == paired_difference(first, second, 1)


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    drawn = random.Random(5)
    covered = 0
    for trial in range(100):
        differences = [drawn.gauss(0.3, 1) for _ in range(40)]
        found = paired_difference([0.0] * 40, differences, trial)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
    assert 85 <= covered <= 100


def test_what_cannot_be_compared() -> None:
    assert "too few" in paired_difference([1], [2]).words
    with pytest.raises(ValueError, match="must match"):
        paired_difference([1], [])
    with pytest.raises(ValueError, match="empty"):
        paired_difference([], [])
    assert paired_counts({"a": {0: 1}}, {"b": {0: 1}}) is None


counts = st.dictionaries(st.integers(0, 2), st.integers(0, 5))
images = st.lists(
    st.tuples(counts, counts, counts, st.none() | st.sets(st.integers(0, 2), min_size=1)),
    min_size=2,
    max_size=8,
)


@settings(max_examples=25)
@given(images)
def test_the_difference_is_that_of_the_tables(
    drawn: list[tuple[dict[int, int], dict[int, int], dict[int, int], set[int] | None]],
) -> None:
    """Sub-datasets of different sizes: the mean over them is what the results show."""

    def items(which: int) -> list[Item]:
        return [
            Item(
                t=1.0, precision=Precision.FP32, index=index, image=f"{index}", truth=each[0],
                counts=(each[which],), evaluated=None if each[3] is None else tuple(each[3]),
            )
            for index, each in enumerate(drawn)
        ]  # fmt: skip

    def mae(which: int) -> float:
        tally = PassTally((None,), ("a", "b", "c"))
        for item in items(which):
            tally.add(item)
        mean = tally.rows()[0].mae_mean
        assert mean is not None
        return mean

    found = paired_counts(image_errors(items(1), 0, 3), image_errors(items(2), 0, 3))
    assert found is not None
    assert found.images == len(drawn)
    assert found.difference == pytest.approx(mae(2) - mae(1))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.high
