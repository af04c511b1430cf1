from __future__ import annotations

import pytest

from edgelab.settings.common import DETECTOR_PRECISIONS, Order, Precision
from edgelab.settings.train import TrainSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.steps import precision_of, steps_of
from tests.recorded import make_spec


def names(spec: RunSpec) -> list[str]:
    return [step.name for step in steps_of(spec)]


def test_each_precision_has_a_process_of_its_own_after_the_preparation() -> None:
    spec = make_spec(1, precisions=(Precision.FP32, Precision.INT8))
    assert names(spec) == ["prepare", "fp32", "int8", "score"]
    prepare, *passes, score = steps_of(spec)
    assert prepare.needed
    assert not any(step.needed for step in (*passes, score))
    assert all(step.measures for step in passes)
    assert not prepare.measures
    assert not score.measures


def test_abba_goes_there_and_back() -> None:
    spec = make_spec(1, precisions=DETECTOR_PRECISIONS, order=Order.ABBA)
    assert names(spec)[1:-1] == [
        "fp32", "fp16", "int8", "int8 again", "fp16 again", "fp32 again",
    ]  # fmt: skip
    assert {precision_of(name) for name in names(spec)[1:-1]} == {"fp32", "fp16", "int8"}


def test_a_random_order_is_that_of_the_run() -> None:
    def spec(number: int) -> RunSpec:
        return make_spec(number, precisions=DETECTOR_PRECISIONS, order=Order.RANDOM)

    assert names(spec(1)) == names(spec(1))
    assert len({tuple(names(spec(number))) for number in range(1, 30)}) == 6


def test_several_processes_are_launched_by_a_program_of_their_own() -> None:
    def module(**options: int) -> str:
        settings = TrainSettings(model="vit-tiny", dataset="charts", **options)  # type: ignore[arg-type]
        return steps_of(RunSpec(SPEC_VERSION, "0" * 8, 1, "t", 0.0, settings))[0].module

    assert module() == "runners.train"
    assert module(processes=2) == "runners.train_together"
    with pytest.raises(ValueError, match="processes = 8: at most one for each image of a batch, 4"):
        module(processes=8, batch=4)
