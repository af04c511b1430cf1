"""Rates, and the floors made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.calibration import (
    CALIBRATION_VERSION,
    BoardState,
    Calibration,
    Rate,
    Resource,
    board_id,
    calibration_file,
    read_calibration,
    write_calibration,
)
from edgelab.graph_cost import GraphCost
from edgelab.home import Home
from edgelab.roofline import floor_of, share_words
from edgelab.schema import SchemaProblem
from edgelab.settings.common import Precision

BOARD = {"board": "Orange Pi 3B", "cpu": "Cortex-A55", "governor": "performance"}


def rate(resource: Resource, threads: int, best: float) -> Rate:
    return Rate(f"{resource} test", resource, threads, best, best / 2, 0.1, 20, 1000, True)


def calibration(*rates: Rate, cache: int | None = None) -> Calibration:
    return Calibration(
        version=CALIBRATION_VERSION,
        board="Orange Pi 3B",
        wall=0.0,
        duration_s=60.0,
        threads=max((each.threads for each in rates), default=1),
        rates=rates,
        environment=BOARD,
        before=BoardState(),
        after=BoardState(),
        cache_bytes=cache,
    )


ORANGE_PI = calibration(
    rate(Resource.FP32, 4, 57.6e9),
    rate(Resource.INT8, 4, 230.4e9),
    rate(Resource.MEMORY, 4, 6e9),
)


def test_the_floor_of_yolov8n_on_the_orange_pi_is_that_of_the_study() -> None:
    cost = GraphCost({Precision.FP32: 8_700_000_000}, weight_bytes=12_600_000, io_bytes=7_700_000)

    floor = floor_of(cost, ORANGE_PI, threads=4)

    assert floor is not None
    assert floor.ms == pytest.approx(151.04, abs=0.01)
    assert floor.bound_by == "compute"
    assert floor.memory_ms == pytest.approx(1000 * 20.3e6 / 6e9)
    assert floor.complete
    assert floor.share(500.0) == pytest.approx(0.302, abs=0.001)


def test_each_format_takes_its_own_rate() -> None:
    cost = GraphCost({Precision.INT8: 230_400_000, Precision.FP32: 57_600_000})

    floor = floor_of(cost, ORANGE_PI, threads=4)

    assert floor is not None
    assert floor.compute_ms == pytest.approx(2.0)


def test_memory_bounds_what_computes_little() -> None:
    cost = GraphCost({Precision.FP32: 1000}, weight_bytes=600_000_000, unknown={"Loop": 1})

    floor = floor_of(cost, ORANGE_PI, threads=4)

    assert floor is not None
    assert (floor.ms, floor.bound_by) == (pytest.approx(100.0), "memory")
    assert not floor.complete


def test_what_fits_the_cache_need_not_cross_the_bus() -> None:
    cost = GraphCost({Precision.FP32: 1}, weight_bytes=3_000_000)
    board = calibration(rate(Resource.FP32, 1, 1e9), rate(Resource.MEMORY, 1, 1e9), cache=2_000_000)

    floor = floor_of(cost, board, threads=1)

    assert floor is not None
    assert floor.memory_ms == pytest.approx(1.0)


def test_a_narrow_format_is_never_slower_than_a_wider_one() -> None:
    cost = GraphCost({Precision.FP16: 57_600_000})  # no half kernels on this board

    floor = floor_of(cost, ORANGE_PI, threads=4)

    assert floor is not None
    assert floor.compute_ms == pytest.approx(1.0)


@pytest.mark.parametrize("resource", [Resource.FP32, Resource.MEMORY])
def test_without_a_rate_there_is_no_floor(resource: Resource) -> None:
    cost = GraphCost({Precision.FP32: 1})
    board = calibration(*(each for each in ORANGE_PI.rates if each.resource is not resource))

    assert floor_of(cost, board, threads=4) is None


def test_more_than_everything_asks_for_a_new_calibration() -> None:
    floor = floor_of(GraphCost({Precision.FP32: 57_600_000}), ORANGE_PI, threads=4)

    assert floor is not None
    assert share_words(floor.share(1.59)) == "63 %"
    assert share_words(floor.share(1.0)) == "100 %"
    assert share_words(floor.share(0.5)) == "200 %: calibrate again"
    assert share_words(None) == "–"
    with pytest.raises(ValueError, match="above 0"):
        floor.share(0.0)


def test_threads_that_were_not_measured_are_bounded() -> None:
    board = calibration(
        rate(Resource.FP32, 1, 10.0), rate(Resource.FP32, 1, 12.0), rate(Resource.FP32, 4, 40.0)
    )

    attained = {threads: board.attained(Resource.FP32, threads) for threads in (1, 2, 3, 4, 8)}

    assert attained == {1: 12.0, 2: 24.0, 3: 36.0, 4: 40.0, 8: 40.0}
    assert board.attained(Resource.DISK, 1) is None


@given(
    st.dictionaries(st.sampled_from([1, 2, 4, 8]), st.floats(1, 1e12), min_size=1),
    st.integers(1, 16),
)
def test_more_threads_never_attain_less(best: dict[int, float], threads: int) -> None:
    board = calibration(*(rate(Resource.FP32, count, value) for count, value in best.items()))

    fewer, more = (board.attained(Resource.FP32, n) for n in (threads, threads + 1))

    assert fewer is not None
    assert more is not None
    assert fewer <= more


def test_a_calibration_is_kept_by_board(home: Home) -> None:
    path = write_calibration(home, ORANGE_PI)

    assert path == home.calibrations / "orange-pi-3b-cortex-a55.json"
    assert read_calibration(home, BOARD) == ORANGE_PI
    assert read_calibration(home, BOARD | {"board": "another"}) is None


def test_a_damaged_calibration_says_where(home: Home) -> None:
    path = write_calibration(home, ORANGE_PI)
    path.write_text(path.read_text().replace('"best": 57600000000.0', '"best": -1'))

    with pytest.raises(SchemaProblem, match=r"json: rates\[0\]\.best = -1"):
        read_calibration(home, BOARD)


def test_names_of_boards_fit_file_names(home: Home) -> None:
    assert board_id({}) == "unknown"
    assert board_id({"board": "AMD EPYC", "cpu": "AMD EPYC"}) == "amd-epyc"
    assert board_id({"board": "../../etc/passwd\0", "cpu": "å"}) == "etc-passwd"
    assert calibration_file(home, {"board": "x" * 999}).name == "x" * 100 + ".json"


def test_changed_conditions_are_told() -> None:
    now = BOARD | {"governor": "powersave", "kernel": "6.6"}

    assert ORANGE_PI.differences(BOARD) == ()
    assert ORANGE_PI.differences(now) == ("governor was performance, is powersave",)
