"""Figures against the definition written out: every image, every class, one by one."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.records import Item, StageTimes
from edgelab.settings.common import Precision
from edgelab.tally import PassTally, ThresholdRow, count_error

CLASSES = ("cat", "dog", "cow")
CUTS = (0.3, 0.7)

counts = st.dictionaries(st.integers(0, len(CLASSES) - 1), st.integers(0, 13))


@st.composite
def items(draw: st.DrawFn) -> Item:
    evaluated = st.lists(st.integers(0, len(CLASSES) - 1), unique=True).map(tuple)
    return an_item(
        truth=draw(counts),
        counts=(draw(counts), draw(counts)),
        evaluated=draw(st.none() | evaluated),
        unanswered=draw(st.none() | st.just("no number in it")),
    )


def an_item(**fields: object) -> Item:
    given_fields: dict[str, object] = {"t": 1.0, "index": 0, "image": "a.png", **fields}
    return Item(precision=Precision.FP32, **given_fields)  # type: ignore[arg-type]


def rows_of(items: list[Item], classes: tuple[str, ...] = CLASSES) -> tuple[ThresholdRow, ...]:
    tally = PassTally(CUTS, classes)
    for item in items:
        tally.add(item)
    return tally.rows()


@given(st.lists(items(), min_size=1, max_size=12))
def test_every_class_counts_over_its_own_images(given_items: list[Item]) -> None:
    for position, row in enumerate(rows_of(given_items)):
        for index, found in enumerate(row.classes):
            own = [i for i in given_items if i.evaluated is None or index in i.evaluated]
            answered = [i for i in own if i.unanswered is None]
            pairs = [
                (i.truth.get(index, 0), i.counts[position].get(index, 0))
                for i in answered
                if i.truth is not None
            ]
            assert found.unanswered == len(own) - len(answered)
            assert found.images == len(pairs)
            assert found.gt_count == sum(t for t, _ in pairs)
            assert found.pred_count == sum(p for _, p in pairs)
            if not pairs:
                assert found.mae is found.mse is found.rmse is found.bias is found.exact is None
                continue
            mse = fmean((p - t) ** 2 for t, p in pairs)
            assert found.mae == pytest.approx(fmean(abs(p - t) for t, p in pairs))
            assert found.mse == pytest.approx(mse)
            assert found.rmse == pytest.approx(math.sqrt(mse))
            assert found.bias == pytest.approx(fmean(p - t for t, p in pairs))
            assert found.exact == pytest.approx(fmean(p == t for t, p in pairs))
            for part in found.by_true_count:
                last = 99 if part.last is None else part.last
                same = [p - t for t, p in pairs if part.first <= t <= last]
                assert part.images == len(same)
                assert part.mae == pytest.approx(fmean(map(abs, same)))
                assert part.bias == pytest.approx(fmean(same))
            assert sum(part.images for part in found.by_true_count) == found.images


@given(st.lists(items(), min_size=1, max_size=12))
def test_a_mean_is_over_the_sub_datasets_that_have_images(given_items: list[Item]) -> None:
    for row in rows_of(given_items):
        known = [each.mae for each in row.classes if each.mae is not None]
        assert row.mae_mean == (pytest.approx(fmean(known)) if known else None)
        assert row.gt_count == sum(each.gt_count for each in row.classes)
        assert row.pred_count == sum(each.pred_count for each in row.classes)
        images = sum(each.images or 0 for each in row.classes)
        assert sum(part.images for part in row.by_true_count) == images


@given(st.lists(items(), min_size=1, max_size=12))
def test_figures_so_far_do_not_change_the_figures_at_the_end(given_items: list[Item]) -> None:
    watched = PassTally(CUTS, CLASSES)
    for item in given_items:
        watched.add(item)
        watched.rows()
    assert watched.rows() == rows_of(given_items)


@given(items(), st.integers(0, 1))
def test_the_error_of_an_image_is_the_sum_over_its_classes(item: Item, position: int) -> None:
    error = count_error(item, position)
    if item.unanswered is not None:
        assert error is None
    else:
        single = rows_of([item])[position]
        assert error == sum(each.mae or 0 for each in single.classes)


def test_one_image_can_be_evaluated_for_several_classes_and_none_else() -> None:
    item = an_item(truth={0: 2, 1: 1, 2: 9}, counts=({0: 2, 1: 3, 2: 1},) * 2, evaluated=(0, 1))
    row = rows_of([item])[0]
    assert [(each.images, each.mae) for each in row.classes] == [(1, 0), (1, 2), (0, None)]
    assert (row.gt_count, row.pred_count, row.mae_mean) == (3, 5, 1)


def test_an_answer_without_a_count_is_in_no_error_but_has_its_time() -> None:
    tally = PassTally((None,), ("cat",))
    times = StageTimes(decode=1, preprocess=1, infer=2, postprocess=0)
    tally.add(an_item(truth={0: 3}, times=times, unanswered="none", evaluated=(0,)))
    tally.add(an_item(truth={0: 3}, times=times, counts=({0: 2},), evaluated=(0,)))
    (row,) = tally.rows()
    assert row.threshold is None
    assert (tally.unanswered, tally.images, tally.errors, len(tally.latency)) == (1, 2, 0, 2)
    assert (row.gt_count, row.mae_mean, row.classes[0].unanswered) == (3, 1, 1)


def test_no_answer_at_all_is_a_sub_dataset_without_figures() -> None:
    row = rows_of([an_item(truth={0: 1}, unanswered="none")])[0]
    assert row.mae_mean is None
    assert [each.unanswered for each in row.classes] == [1, 1, 1]


def test_without_annotations_there_are_counts_only() -> None:
    row = rows_of([an_item(counts=({0: 2}, {}))])[0]
    assert row == ThresholdRow(0.3, 2)
