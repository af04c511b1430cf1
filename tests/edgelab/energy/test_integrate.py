from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.energy.integrate import Counter, Integral, PowerTrace, Trapezoid
from edgelab.records import PowerReading, PowerSource

GAP_S = 3.0

Readings = list[tuple[float, float]]

steps = st.floats(0.05, 8.0).map(lambda value: round(value, 3))
watts = st.floats(0.0, 50.0).map(lambda value: round(value, 3))
times = st.floats(-20.0, 200.0)


@st.composite
def readings(draw: st.DrawFn) -> Readings:
    """Readings with gaps: steps of up to 8 s, of which 3 s are bridged."""
    t = draw(st.floats(0.0, 10.0))
    found = []
    for step in draw(st.lists(steps, max_size=30)):
        t += step
        found.append((t, draw(watts)))
    return found


def power(values: Readings) -> Trapezoid:
    trace = Trapezoid(GAP_S)
    for t, value in values:
        trace.add(t, value)
    return trace


def counter(values: Readings, fine: bool = True) -> Counter:
    """A running total from steps of energy."""
    trace = Counter(GAP_S, fine)
    total = 0.0
    for t, value in values:
        total += value
        trace.add(t, total)
    return trace


def by_hand(values: Readings, start: float, end: float) -> tuple[float, float]:
    """Joules and seconds, interval by interval."""
    joules = seconds = 0.0
    for (t0, w0), (t1, w1) in pairwise(values):
        low, high = max(t0, start), min(t1, end)
        if t1 - t0 > GAP_S or high <= low:
            continue
        slope = (w1 - w0) / (t1 - t0)
        joules += (high - low) * (w0 + slope * ((low + high) / 2 - t0))
        seconds += high - low
    return joules, seconds


@given(readings(), times, times)
def test_the_running_sums_equal_the_sum_by_hand(values: Readings, a: float, b: float) -> None:
    start, end = sorted((a, b))
    got = power(values).over(start, end)
    joules, seconds = by_hand(values, start, end)
    assert got.joules == pytest.approx(joules, abs=1e-6)
    assert got.seconds == pytest.approx(seconds, abs=1e-6)
    assert got.variance >= 0


@given(readings(), times, times, times)
def test_windows_add_up(values: Readings, a: float, b: float, c: float) -> None:
    start, middle, end = sorted((a, b, c))
    trace = power(values)
    parts = trace.over(start, middle), trace.over(middle, end)
    whole = trace.over(start, end)
    assert whole.joules == pytest.approx(sum(part.joules for part in parts), abs=1e-6)
    assert whole.seconds == pytest.approx(sum(part.seconds for part in parts), abs=1e-6)


@given(readings(), times, times, times)
def test_windows_of_a_counter_add_up_but_for_a_cut_in_a_gap(
    values: Readings, a: float, b: float, c: float
) -> None:
    start, middle, end = sorted((a, b, c))
    trace = counter(values)
    parts = trace.over(start, middle), trace.over(middle, end)
    whole = trace.over(start, end)
    joules, seconds = (sum(part[index] for part in parts) for index in (0, 1))
    assert whole.joules >= joules - 1e-6
    assert whole.seconds >= seconds - 1e-6
    if not any(t0 < middle < t1 and t1 - t0 > GAP_S for (t0, _), (t1, _) in pairwise(values)):
        assert whole.joules == pytest.approx(joules, abs=1e-6)
        assert whole.seconds == pytest.approx(seconds, abs=1e-6)


@given(readings(), times, times)
def test_no_window_is_covered_less_than_not_at_all_or_more_than_wholly(
    values: Readings, a: float, b: float
) -> None:
    for trace in (power(values), counter(values)):
        for start, end in ((min(a, b), max(a, b)), (max(a, b), min(a, b))):
            got = trace.over(start, end)
            assert 0 <= got.seconds <= max(0.0, end - start) + 1e-9
            assert got.joules >= -1e-9


@given(readings(), times, times, st.integers(-(10**6), 10**6))
def test_the_hour_of_the_day_changes_nothing(
    values: Readings, a: float, b: float, shift: int
) -> None:
    start, end = sorted((a, b))
    later = [(t + shift, value) for t, value in values]
    for make in (power, counter):
        here = make(values).over(start, end)
        there = make(later).over(start + shift, end + shift)
        assert there == pytest.approx(here, rel=1e-6, abs=1e-5)


def curve(t: float) -> float:
    """A board that works in waves and warms up, W."""
    return 3.2 + 1.1 * math.sin(2 * math.pi * t / 20) + 0.002 * t


def energy(t: float) -> float:
    """Its integral from 0, J."""
    wave = 1.1 * 20 / (2 * math.pi) * (1 - math.cos(2 * math.pi * t / 20))
    return 3.2 * t + wave + 0.001 * t * t


def jittered(seconds: int, seed: int = 1) -> list[float]:
    """About one time a second."""
    rng = random.Random(seed)
    return [second + rng.uniform(-0.2, 0.2) for second in range(seconds)]


@pytest.mark.parametrize(("start", "end"), [(10.3, 290.7), (17.0, 47.5), (0.5, 299.0)])
def test_a_known_curve_is_integrated_within_half_a_per_cent(start: float, end: float) -> None:
    got = power([(t, curve(t)) for t in jittered(301)]).over(start, end)
    assert got.joules == pytest.approx(energy(end) - energy(start), rel=0.005)
    assert got.seconds == pytest.approx(end - start)


def test_a_window_between_two_readings_is_interpolated() -> None:
    trace = power([(10.0, 2.0), (11.0, 4.0)])
    assert trace.over(10.25, 10.75)[:2] == pytest.approx((0.5 * 3.0, 0.5))
    assert trace.over(9.0, 10.5)[:2] == pytest.approx((0.5 * 2.5, 0.5))
    assert trace.over(10.5, 99.0)[:2] == pytest.approx((0.5 * 3.5, 0.5))
    for start, end in ((0.0, 10.0), (11.0, 12.0), (10.5, 10.5), (10.9, 10.1)):
        assert trace.over(start, end) == Integral()


def test_a_gap_is_not_bridged_and_two_missed_readings_are_none() -> None:
    steady = [(float(t), 4.0) for t in range(60) if t not in (10, 11)]
    assert power(steady).over(0.0, 59.0)[:2] == pytest.approx((236.0, 59.0))
    holed = [(t, w) for t, w in steady if not 30 <= t < 35]
    assert power(holed).over(0.0, 59.0)[:2] == pytest.approx((4.0 * 53, 53.0))
    assert power(holed).over(29.5, 35.5)[:2] == pytest.approx((2.0, 0.5))
    assert power(holed).over(30.0, 34.0) == Integral()


def test_a_counter_bridges_its_own_gap() -> None:
    trace = Counter(GAP_S, fine=True)
    for t in (0.0, 1.0, 2.0, 30.0, 31.0):
        trace.add(t, 5.0 * t)
    assert trace.over(0.5, 30.5) == (150.0, 30.0, 0.0)
    # How the gap's energy splits is not known: the edge moves into the window.
    assert trace.over(0.5, 20.0) == pytest.approx((7.5, 1.5, 0.0))
    assert trace.over(20.0, 31.0) == pytest.approx((5.0, 1.0, 0.0))
    assert trace.over(10.0, 20.0) == Integral()


def test_readings_that_go_back_are_left_out() -> None:
    trace = power([(0.0, 1.0), (1.0, 1.0), (1.0, 99.0), (0.5, 99.0), (2.0, 1.0)])
    assert trace.over(0.0, 2.0).joules == 2.0
    total = Counter(GAP_S, fine=True)
    for t, joules in ((0.0, 0.0), (1.0, 5.0), (2.0, 4.0), (3.0, 15.0)):
        total.add(t, joules)
    assert total.over(0.0, 3.0).joules == 15.0


def test_the_uncertainty_from_sampling_is_the_spread_of_repeated_integrals() -> None:
    rng = random.Random(7)
    integrals = [
        power([(float(t), 4.0 + rng.gauss(0, 0.3)) for t in range(101)]).over(0.0, 100.0)
        for _ in range(400)
    ]
    mean = math.fsum(each.joules for each in integrals) / 400
    spread = math.sqrt(math.fsum((each.joules - mean) ** 2 for each in integrals) / 399)
    claimed = math.sqrt(math.fsum(each.variance for each in integrals) / 400)
    assert claimed == pytest.approx(spread, rel=0.15)


def test_a_slow_drift_is_no_noise() -> None:
    drift = power([(float(t), 3.0001 + 0.01 * t) for t in range(101)]).over(0.0, 100.0)
    assert math.sqrt(drift.variance) < 0.001 * drift.joules


def test_rounding_does_not_average_out() -> None:
    """A plug that shows whole watts may be off by half a watt for as long as the load is steady."""
    rounded = power([(float(t), 4.0) for t in range(101)]).over(0.0, 100.0)
    assert math.sqrt(rounded.variance) == pytest.approx(100 / math.sqrt(12))
    tenths = power([(float(t), 4.0 if t else 4.1) for t in range(101)]).over(50.0, 100.0)
    assert math.sqrt(tenths.variance) == pytest.approx(50 * 0.1 / math.sqrt(12))


def trace_of(method: str, values: list[PowerReading]) -> PowerTrace:
    source = PowerSource(0.0, "s", method, "wall", 0.02)  # type: ignore[arg-type]
    trace = PowerTrace(source)
    for value in values:
        trace.add(value)
    return trace


def plug(t: int, minute: int = 60) -> PowerReading:
    """4.3 W shown as 4 W; the counter moves once a minute."""
    return PowerReading(float(t), "s", 4.0, 4.3 * (t // minute) * minute)


def test_a_plugs_coarse_counter_is_used_where_it_knows_better() -> None:
    short = trace_of("measured", [plug(t) for t in range(91)])
    assert short.over(0.0, 90.0).joules == pytest.approx(4.0 * 90)
    long = trace_of("measured", [plug(t) for t in range(3601)])
    assert long.over(0.0, 3600.0).joules == pytest.approx(4.3 * 3600)


def test_a_plugs_counter_covers_what_its_watts_missed() -> None:
    readings = [plug(t, minute=1) for t in range(301) if not 100 < t < 200]
    got = trace_of("measured", readings).over(0.0, 300.0)
    assert (got.joules, got.seconds) == pytest.approx((4.3 * 300, 300.0))


def test_the_newest_watts_of_a_counter_are_a_mean() -> None:
    readings = [PowerReading(float(t), "s", joules=7.5 * t) for t in range(3)]
    trace = trace_of("counter", readings)
    assert trace.watts == 7.5
    assert trace.points() == [(1.0, 7.5), (2.0, 7.5)]
    assert trace_of("counter", readings[:1]).watts is None
    assert trace_of("counter", []).watts is None
    assert trace.over(0.0, 2.0).variance == 0.0
