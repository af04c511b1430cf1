from __future__ import annotations

import math
import statistics as reference
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.statistics import (
    TRUE_COUNT_BINS,
    CountErrors,
    RunningPercentiles,
    percentile_of,
    samples_needed,
)

latencies = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@pytest.mark.parametrize(("percentile", "needed"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662)])
def test_samples_needed_are_those_of_the_early_stopping_rule(
    percentile: float, needed: int
) -> None:
    assert samples_needed(percentile) == needed


@pytest.mark.parametrize("percentile", [0.0, 1.0, -1.0, 90.0])
def test_a_percentile_is_a_share(percentile: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        samples_needed(percentile)


def test_no_percentile_below_its_sample_size() -> None:
    assert percentile_of(range(63), 0.9) is None
    assert percentile_of(range(64), 0.9) == 57  # the 58th of 64: ceil(57.6)


@given(st.lists(latencies, min_size=64, max_size=200))
def test_a_percentile_was_measured_and_leaves_the_right_share_below(values: list[float]) -> None:
    running = RunningPercentiles()
    for value in values:
        running.add(value)
    p90 = running.at(0.9)
    assert p90 in values
    assert sum(value <= p90 for value in values) >= 0.9 * len(values)
    assert sum(value < p90 for value in values) < 0.9 * len(values)


@given(st.lists(latencies, min_size=1, max_size=100))
def test_running_figures_keep_every_value(values: list[float]) -> None:
    running = RunningPercentiles()
    for value in values:
        running.add(value)
    assert running.largest == max(values)
    assert running.mean is not None
    assert math.isclose(running.mean, reference.fmean(values), rel_tol=1e-9, abs_tol=1e-9)
    assert sum(count for _, _, count in running.histogram(7)) == len(values)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=50))
def test_count_errors_add_up(pairs: list[tuple[int, int]]) -> None:
    errors = CountErrors()
    for truth, predicted in pairs:
        errors.add(truth, predicted)
    assert errors.truth == sum(t for t, _ in pairs)
    assert errors.predicted == sum(p for _, p in pairs)
    assert errors.absolute == sum(abs(p - t) for t, p in pairs)
    assert errors.squared == sum((p - t) ** 2 for t, p in pairs)
    assert errors.exact == sum(p == t for t, p in pairs)
    assert errors.images == len(pairs)
    for (first, last), place in zip(TRUE_COUNT_BINS, errors.bins, strict=True):
        inside = [(t, p) for t, p in pairs if first <= t <= (50 if last is None else last)]
        assert place.images == len(inside)
        assert place.absolute == sum(abs(p - t) for t, p in inside)
        assert place.signed == sum(p - t for t, p in inside)


def test_bins_of_true_counts_leave_no_gap() -> None:
    assert TRUE_COUNT_BINS[0][0] == 0
    assert TRUE_COUNT_BINS[-1][1] is None
    for (_, last), (first, _) in pairwise(TRUE_COUNT_BINS):
        assert last is not None
        assert first == last + 1
