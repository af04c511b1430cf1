from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.records import BoardFacts, FrequencyPolicy, Sample
from edgelab.verdict import COOLING_SENSOR, Window, conditions

FACTS = BoardFacts(t=0, policies=(FrequencyPolicy("policy0", "ondemand", "0 1", 1800.0),))
BLIND = BoardFacts(t=0, policies=FACTS.policies, absent={COOLING_SENSOR: "none"})
WINDOW = Window(10.0, 30.0)


def sample(t: float, **changes: Any) -> Sample:
    quiet: dict[str, Any] = {
        "cpu": (90.0, 90.0),
        "runner_cpu": 180.0,
        "supervisor_cpu": 0.5,
        "frequency_cap_mhz": (1800.0,),
        "temperatures": {"cpu": 50.0},
        "swapped_pages": 1000,
        "runner_major_faults": 7,
    }
    return Sample(t=t, **{**quiet, **changes})


def series(**changes: Any) -> list[Sample]:
    """A sample a second from 0 to 40 s; a change may be a function of t."""
    return [
        sample(float(t), **{k: v(t) if callable(v) else v for k, v in changes.items()})
        for t in range(41)
    ]


def judge(samples: list[Sample], facts: BoardFacts | None = FACTS) -> str:
    return conditions(samples, facts, [WINDOW]).verdict


def test_a_quiet_board_is_clean() -> None:
    found = conditions(series(), FACTS, [WINDOW])
    assert found.verdict == "clean"
    assert found.coverage == 1.0
    assert found.samples == 20
    assert found.temperature_max == 50.0
    assert found.throttled_s == 0.0


def test_cooling_is_throttling_with_its_seconds_and_share() -> None:
    samples = series(cooling=lambda t: {"thermal-cpufreq-0": 2} if 16 <= t <= 20 else {})
    found = conditions(samples, FACTS, [WINDOW])
    assert found.throttled_s == 5.0
    assert found.throttled_share == 0.25
    assert found.verdict == "throttled 5 s (25 %)"
    assert found.throttled_by == ("thermal-cpufreq-0",)


def test_a_cap_that_comes_down_is_throttling() -> None:
    assert "throttled" in judge(series(frequency_cap_mhz=lambda t: (1400.0 if t > 25 else 1800.0,)))


def test_a_cap_that_somebody_set_is_told_but_is_no_throttling() -> None:
    found = conditions(series(frequency_cap_mhz=(1400.0,)), FACTS, [WINDOW])
    assert found.verdict == "clean"
    assert found.capped_mhz == 1400.0


def test_without_cooling_states_any_cap_counts() -> None:
    assert "throttled 20 s" in judge(series(frequency_cap_mhz=(1400.0,)), BLIND)


def test_heat_alone_is_no_throttling() -> None:
    assert judge(series(temperatures={"cpu": 99.0})) == "clean"


def test_a_board_that_shows_nothing_is_not_called_unthrottled() -> None:
    nothing = BoardFacts(t=0, absent={COOLING_SENSOR: "none", "frequency": "none"})
    found = conditions(series(frequency_cap_mhz=()), nothing, [WINDOW])
    assert found.throttled_s is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"runner_cpu": 120.0}, "contended (others took 0.6 cores)"),
        ({"stolen": 40.0}, "contended (others took 0.4 cores)"),
        ({"swapped_pages": lambda t: 1000 + 20 * t}, "swapped (380 pages"),
        ({"runner_major_faults": lambda t: 10 * t}, "190 major faults"),
    ],
)
def test_each_trouble_has_its_word(changes: dict[str, Any], word: str) -> None:
    assert word in judge(series(**changes))


def test_the_cost_of_watching_is_not_somebody_elses_load() -> None:
    found = conditions(series(runner_cpu=150.0, console_cpu=29.0), FACTS, [WINDOW])
    assert found.verdict == "clean"
    assert found.observer_cpu == 29.5


def test_trouble_outside_the_measured_window_does_not_count() -> None:
    samples = series(cooling=lambda t: {"cpu": 1} if t <= 10 or t > 31 else {})
    assert judge(samples) == "clean"


def test_lost_samples_cost_coverage_and_are_not_guessed() -> None:
    samples = [each for each in series() if not 14 < each.t < 26]
    found = conditions(samples, FACTS, [WINDOW])
    assert found.coverage == pytest.approx(9 / 20)
    assert found.verdict == "low coverage (45 %)"


def test_no_sample_no_verdict() -> None:
    assert judge([]) == "not known"
    assert conditions(series(), FACTS, []).verdict == "not known"


def test_a_short_window_is_judged_by_the_sample_that_covers_it() -> None:
    found = conditions(series(cooling={"cpu": 1}), FACTS, [Window(10.2, 10.9)])
    assert found.samples == 1
    assert found.coverage == pytest.approx(1.0)


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=60, unique=True),
    st.floats(0, 30),
    st.floats(0.1, 30),
)
def test_shares_stay_shares(times: list[float], start: float, length: float) -> None:
    samples = [sample(t, cooling={"cpu": 1} if t % 2 < 1 else {}) for t in sorted(times)]
    found = conditions(samples, FACTS, [Window(start, start + length)])
    if found.coverage is not None:
        assert 0 < found.coverage <= 1
        assert found.throttled_share is not None
        assert 0 <= found.throttled_share <= 1 + 1e-9
