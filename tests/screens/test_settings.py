from __future__ import annotations

import pytest

from edgelab.problem import Problem
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision, Scenario
from edgelab.settings.detect import DetectSettings
from screens.settings import Setting, settings_rows

START = DetectSettings(model="m", dataset="d", precisions=(Precision.FP32, Precision.INT8))


def row(title: str) -> Setting:
    return next(r for r in settings_rows(cores=4) if r.title == title)


def test_precisions_keep_their_order() -> None:
    assert row("fp16").step(START, 1).precisions == DETECTOR_PRECISIONS
    assert row("fp32").step(START, 1).precisions == (Precision.INT8,)


def test_the_last_precision_stays() -> None:
    only = row("fp32").step(START, 1)
    assert row("int8").step(only, 1) == only


def test_threads_end_at_the_cores() -> None:
    four = row("threads").step(row("threads").step(START, 1), 1)
    assert four.threads == 4
    assert row("threads").step(four, 1) == four


def test_images_step_from_all_to_some_and_back() -> None:
    images = row("images")
    some = images.step(START, 1)
    assert (some.limit, images.text(START)) == (10, "all")
    assert images.step(some, -1).limit is None


def test_a_step_from_a_typed_value_goes_to_the_next() -> None:
    images = row("images")
    assert images.read is not None
    typed = images.read(START, "30")
    assert (images.step(typed, 1).limit, images.step(typed, -1).limit) == (50, 25)


def test_scenario_toggles() -> None:
    assert row("scenario").step(START, 1).scenario is Scenario.OFFLINE


@pytest.mark.parametrize(
    ("title", "typed", "words"),
    [
        ("thresholds", "high", "expected numbers such as"),
        ("thresholds", "1.5", "thresholds"),
        ("thresholds", "0.5 0.5", "differ"),
        ("threads", "-1", "whole number"),
        ("threads", "0", "threads = 0"),
        ("images", "many", "whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_words(title: str, typed: str, words: str) -> None:
    read = row(title).read
    assert read is not None
    with pytest.raises(Problem, match=words):
        read(START, typed)


def test_thresholds_take_commas() -> None:
    read = row("thresholds").read
    assert read is not None
    assert read(START, "0.25, 0.75").thresholds == (0.25, 0.75)
