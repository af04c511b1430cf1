"""Figures of a classifier against their definitions, and their intervals against resampling."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import NormalDist, fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.classified import BINS, OFF_LIST, Classes, ClassifiedTally
from edgelab.records import ClassifiedItem, Interval, StageTimes
from edgelab.settings.common import Precision
from edgelab.statistics import Z95, wilson
from edgelab.tally import PassTally

NAMES = ("bar", "line", "pie", "radar", "area", "box")

Said = tuple[int, tuple[tuple[int, float], ...]]


@st.composite
def answers(draw: st.DrawFn) -> Said:
    label = draw(st.integers(0, len(NAMES) - 1))
    order = draw(st.permutations([OFF_LIST, *range(len(NAMES))]))
    return label, tuple((index, draw(st.floats(0, 1))) for index in order[:5])


def tally_of(given_answers: list[Said]) -> ClassifiedTally:
    tally = ClassifiedTally()
    for label, top in given_answers:
        tally.add(label, top)
    return tally


@given(st.lists(answers(), min_size=1, max_size=30))
def test_every_figure_is_its_definition(given_answers: list[Said]) -> None:
    scores = tally_of(given_answers).scores(1.0, "fp32", "test", NAMES)
    n = len(given_answers)
    pairs = [(label, top[0][0]) for label, top in given_answers]
    assert scores.images == n
    assert scores.accuracy.value == pytest.approx(fmean(a == b for a, b in pairs))
    among = fmean(any(index == label for index, _ in top) for label, top in given_answers)
    assert scores.top5 is not None
    assert scores.top5.value == pytest.approx(among)
    assert scores.off_list == sum(answer == OFF_LIST for _, answer in pairs)
    occurring = sorted({label for label, _ in pairs})
    figures = []
    for index, row in enumerate(scores.classes):
        hits = sum(pair == (index, index) for pair in pairs)
        said = sum(answer == index for _, answer in pairs)
        assert row.images == sum(label == index for label, _ in pairs)
        assert row.precision == pytest.approx(hits / said if said else 0)
        assert row.recall == pytest.approx(hits / row.images if row.images else 0)
        total = row.images + said
        assert row.f1 == pytest.approx(2 * hits / total if total else 0)
        assert scores.confusion[index][index] == hits
        figures.append((row.precision, row.recall, row.f1))
    macro = (scores.precision, scores.recall, scores.f1)
    for position, interval in enumerate(macro):
        mean = fmean(figures[index][position] for index in occurring)
        assert interval.value == pytest.approx(mean)
        assert 0 <= interval.low <= interval.value + 1e-12
        assert interval.value - 1e-12 <= interval.high <= 1
    assert scores.ece is not None
    assert scores.ece.value == pytest.approx(_calibration_error(given_answers))


def _calibration_error(given_answers: list[Said]) -> float:
    bins: dict[int, list[float]] = {}
    for label, ((answer, probability), *_) in given_answers:
        place = min(BINS - 1, int(probability * BINS))
        bins.setdefault(place, []).append(probability - (answer == label))
    return sum(abs(math.fsum(each)) for each in bins.values()) / len(given_answers)


def some_answers(n: int, seed: int) -> list[Said]:
    """Over-confident, and unequally often wrong, as classifiers are."""
    rng = random.Random(seed)
    said: list[Said] = []
    for _ in range(n):
        label = min(rng.randrange(5), rng.randrange(5))
        right = rng.random() < 0.6 + 0.08 * label
        answer = label if right else rng.choice([OFF_LIST, *range(5)])
        said.append((label, ((answer, rng.uniform(0.5, 1.0)),)))
    return said


def test_intervals_are_as_wide_as_those_of_resampling() -> None:
    said = some_answers(400, 1)
    rng = random.Random(2)
    names = NAMES[:5]
    scores = tally_of(said).scores(1.0, "fp32", "test", names)
    drawn = [
        tally_of(rng.choices(said, k=len(said))).scores(1.0, "fp32", "test", names)
        for _ in range(300)
    ]
    for name in ("accuracy", "precision", "recall", "f1", "ece"):
        interval: Interval = getattr(scores, name)
        half = Z95 * stdev(getattr(each, name).value for each in drawn)
        ratio = (interval.high - interval.low) / 2 / half
        # Gaps near 0 change their sign from draw to draw, which makes the error vary less.
        assert 0.85 < ratio < (1.4 if name == "ece" else 1.15), name


def test_no_top5_where_five_answers_are_all_there_are() -> None:
    assert tally_of([(0, ((0, 1.0),))]).scores(1.0, "fp32", "test", NAMES[:5]).top5 is None


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (1, 1, 0.2065, 1.0)],
)
def test_wilson_is_as_published(hits: int, n: int, low: float, high: float) -> None:
    """Values of Wilson's formula as statsmodels' `proportion_confint(method="wilson")` has them."""
    found = wilson(hits, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert found.value == hits / n


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_where_the_score_test_rejects(case: tuple[int, int]) -> None:
    hits, n = case
    found = wilson(hits, n)
    for end in (found.low, found.high):
        if 0 < end < 1:
            z = abs(hits / n - end) / math.sqrt(end * (1 - end) / n)
            assert 2 * (1 - NormalDist().cdf(z)) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_share(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="hits"):
        wilson(hits, n)


def test_a_class_that_nobody_named_has_no_precision_and_pulls_at_nothing() -> None:
    classes = Classes(Counter({(0, 1): 3, (1, 1): 2}), 2)
    precision, _, _ = classes.macro()
    assert classes.precision(0) == 0
    assert precision.value == pytest.approx(0.2)


def item(index: int, repetition: int = 0, **fields: object) -> ClassifiedItem:
    given_fields: dict[str, object] = {"t": 1.0, "image": f"{index}.png", **fields}
    return ClassifiedItem(
        precision=Precision.INT8,
        index=index,
        repetition=repetition,
        **given_fields,  # type: ignore[arg-type]
    )


def test_a_pass_counts_answers_once_and_times_always() -> None:
    tally = PassTally((None,), NAMES)
    times = StageTimes(1.0, 1.0, 2.0, 0.5)
    tally.add(item(0, label=0, top=((0, 0.9),), times=times))
    tally.add(item(1, label=0, top=((1, 0.9),), times=times))
    tally.add(item(0, 1, label=0, top=((0, 0.9),), times=times))
    tally.add(item(2, label=1, error="cut off"))
    assert tally.classified is not None
    assert (tally.classified.images, tally.classified.right) == (2, 1)
    assert (tally.images, tally.errors, len(tally.latency)) == (2, 1, 3)
    assert tally.rows() == ()
