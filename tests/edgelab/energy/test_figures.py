from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from edgelab.energy.figures import EnergyFigures, comparable
from edgelab.energy.ledger import EnergyLedger
from edgelab.records import BaselineEnded, PowerReading, PowerSource

SOURCE: dict[str, Any] = {
    "source": "ina226",
    "method": "measured",
    "scope": "board input",
    "accuracy": 0.01,
}


def fine(watts: float) -> float:
    """With digits to the microwatt, so that rounding plays no part."""
    return watts + 1e-6


def ledger(
    idle: float = 3.0, load: float = 5.0, missing: range = range(0), **facts: Any
) -> EnergyLedger:
    """20 s idle, then 100 s of load, one reading a second; the baseline is 0 to 20 s."""
    found = EnergyLedger()
    source = PowerSource(t=0.0, **(SOURCE | facts))
    found.add_source(source)
    for t in range(121):
        if t not in missing:
            found.add_reading(PowerReading(float(t), source.source, idle if t <= 20 else load))
    found.add_baseline(BaselineEnded(20.0, 0.0))
    return found


def figures(found: EnergyLedger, items: int = 50) -> EnergyFigures:
    (only,) = found.figures(21.0, 121.0 - 1.0, items)
    return only


def test_total_and_net_an_item() -> None:
    got = figures(ledger(fine(3.0), fine(5.0)))
    assert got.coverage == pytest.approx(1.0)
    assert got.joules == pytest.approx(5.0 * 99, rel=1e-5)
    assert got.mean_watts == pytest.approx(5.0, rel=1e-5)
    assert got.baseline_watts == pytest.approx(3.0, rel=1e-5)
    assert got.net_joules == pytest.approx(2.0 * 99, rel=1e-5)
    assert got.joules_per_item == pytest.approx(5.0 * 99 / 50, rel=1e-5)
    assert got.net_joules_per_item == pytest.approx(2.0 * 99 / 50, rel=1e-5)
    assert got.reason == ""


def test_gain_errors_of_total_and_baseline_are_the_same_error() -> None:
    """The uncertainty of the net is 1 % of the net, not of the two large numbers."""
    got = figures(ledger(fine(3.0), fine(5.0)))
    assert got.uncertainty_joules == pytest.approx(2 * 0.01 * 5.0 * 99, rel=1e-3)
    assert got.net_uncertainty_joules == pytest.approx(2 * 0.01 * 2.0 * 99, rel=1e-3)


def test_uncertainty_is_the_root_sum_of_squares() -> None:
    got = figures(ledger(3.0, 5.0))  # whole watts: rounding counts
    t = 99.0
    total = 2 * math.hypot(0.01 * 5 * t, t / math.sqrt(12))
    assert got.uncertainty_joules == pytest.approx(total)
    net = 2 * math.sqrt((0.01 * 2 * t) ** 2 + 2 * t**2 / 12)
    assert got.net_uncertainty_joules == pytest.approx(net)


def test_a_load_within_its_uncertainty_is_not_resolved() -> None:
    """0.04 W more than idle: seen in a steady load, lost in one that swings by 0.8 W."""
    found = ledger(4.00, 4.04)
    assert figures(found).resolved
    for t in range(121, 400):
        found.add_reading(PowerReading(float(t), "ina226", 4.04 + 0.8 * (-1) ** t))
    (got,) = found.figures(121.0, 399.0, 10)
    assert not got.resolved
    assert got.reason == "not resolved"
    assert got.net_joules is not None
    assert got.net_joules_per_item is None
    assert got.joules_per_item is not None
    assert got.net_per_item_words() == "not resolved"
    assert "net not resolved" in got.words()


def test_a_plug_that_shows_no_watts_resolves_nothing() -> None:
    found = EnergyLedger()
    found.add_source(PowerSource(t=0.0, **SOURCE))
    for t in range(101):
        found.add_reading(PowerReading(float(t), "ina226", 0.0))
    (got,) = found.figures(0.0, 100.0, 10)
    assert got.joules_per_item is None
    assert got.per_item_words() == "not resolved"


def test_a_load_below_the_idle_board_is_not_resolved_either() -> None:
    got = figures(ledger(fine(4.0), fine(3.0)))
    assert got.net_joules == pytest.approx(-99.0)
    assert not got.resolved
    assert got.net_joules_per_item is None


def test_nothing_is_scaled_up_and_low_coverage_gives_no_share() -> None:
    got = figures(ledger(fine(3.0), fine(5.0), missing=range(60, 80)))
    assert got.coverage == pytest.approx(1 - 21 / 99)
    assert got.joules == pytest.approx(5.0 * 78, rel=1e-5)
    assert got.joules_per_item is None
    assert got.net_joules_per_item is None
    assert got.per_item_words() == "low coverage (79%)"
    assert got.words().endswith("low coverage (79%) (ina226: measured, board input)")


def test_a_little_that_is_missing_is_taken_to_be_as_the_rest() -> None:
    got = figures(ledger(fine(3.0), fine(5.0), missing=range(60, 65)))
    assert got.coverage == pytest.approx(1 - 6 / 99)
    assert got.joules == pytest.approx(5.0 * 93, rel=1e-5)
    assert got.joules_per_item == pytest.approx(5.0 * 99 / 50, rel=1e-5)


def test_without_readings_there_is_a_reason() -> None:
    found = EnergyLedger()
    found.add_source(PowerSource(t=0.0, **SOURCE))
    got = figures(found)
    assert (got.coverage, got.joules, got.reason) == (0.0, None, "no readings")
    assert got.words() == "no readings (ina226: measured, board input)"
    assert EnergyLedger().figures(0.0, 1.0) == ()


def test_a_baseline_that_was_not_seen_is_none() -> None:
    got = figures(ledger(fine(3.0), fine(5.0), missing=range(5, 15)))
    assert got.baseline_watts is None
    assert got.net_joules is None
    assert got.net_per_item_words() == "–"
    assert got.reason == ""


def test_only_a_baseline_before_the_window_counts() -> None:
    found = ledger(fine(3.0), fine(5.0))
    found.add_baseline(BaselineEnded(110.0, 100.0))
    assert figures(found).baseline_watts == pytest.approx(3.0, rel=1e-5)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {},
            "495.0 ± 9.9 J, 5.00 W, net 198.0 ± 4.0 J, 9.90 ± 0.20 J an image "
            "(ina226: measured, board input)",
        ),
        (
            {"method": "estimated", "source": "estimate", "accuracy": 0.3},
            "~495 ± 297 J, ~5.00 W, net ~198 ± 119 J, ~9.9 ± 5.9 J an image "
            "(estimate: estimated, board input)",
        ),
    ],
)
def test_words_say_all_that_belongs_to_a_figure(facts: dict[str, Any], text: str) -> None:
    got = figures(ledger(fine(3.0), fine(5.0), **facts))
    assert got.words() == text


def test_words_name_other_items_too() -> None:
    got = figures(ledger(fine(3.0), fine(5.0)))
    assert " J an answer " in got.words("answer")
    assert " J a step " in got.words("step")


def test_an_estimate_wears_its_mark_in_every_cell() -> None:
    got = figures(ledger(fine(3.0), fine(5.0), method="estimated"))
    assert got.per_item_words() == "~9.90 J"
    assert got.net_per_item_words() == "~3.960 J"


def test_figures_survive_the_journal() -> None:
    got = figures(ledger())
    assert msgspec.json.decode(msgspec.json.encode(got), type=EnergyFigures) == got


def test_what_may_be_ranked() -> None:
    measured = figures(ledger(fine(3.0), fine(5.0)))
    other = figures(ledger(fine(3.0), fine(6.0), source="plug"))
    wall = figures(ledger(fine(3.0), fine(5.0), scope="wall"))
    guess = figures(ledger(fine(3.0), fine(5.0), source="estimate", method="estimated"))
    guess_too = figures(ledger(fine(3.0), fine(6.0), source="mine", method="estimated"))
    manual = figures(ledger(fine(3.0), fine(5.0), source="meter", method="manual"))
    holed = figures(ledger(fine(3.0), fine(5.0), missing=range(60, 80)))
    assert comparable(measured, other) == (True, "")
    assert comparable(measured, manual) == (True, "")
    assert comparable(guess, guess) == (True, "")
    assert comparable(measured, wall) == (False, "board input is not ranked with wall")
    for a, b in ((measured, guess), (guess, measured), (manual, guess)):
        assert comparable(a, b) == (False, "an estimate is not ranked with a measurement")
    assert comparable(guess, guess_too).reason == "estimates of different models are not ranked"
    assert comparable(measured, holed) == (False, "low coverage (79%)")


def test_the_first_source_counts_unless_it_saw_too_little() -> None:
    found = EnergyLedger()
    for name in ("first", "second"):
        found.add_source(PowerSource(t=0.0, **(SOURCE | {"source": name})))
    for t in range(101):
        if t <= 50:
            found.add_reading(PowerReading(float(t), "first", 4.5))
        found.add_reading(PowerReading(float(t), "second", 5.5))
    assert [each.source for each in found.figures(0.0, 50.0)] == ["first", "second"]
    assert [each.source for each in found.figures(0.0, 100.0)] == ["second", "first"]


def test_an_imported_meter_counts_before_all() -> None:
    found = ledger()
    found.add_source(PowerSource(t=0.0, **(SOURCE | {"source": "meter", "method": "manual"})))
    for t in range(121):
        found.add_reading(PowerReading(float(t), "meter", 5.2))
    assert [each.source for each in found.figures(21.0, 120.0)] == ["meter", "ina226"]
    assert found.joules(21.0, 31.0) == pytest.approx(52.0)
    assert found.points()[0] == (0.0, 5.2)


def test_what_the_live_panel_asks() -> None:
    found = EnergyLedger()
    assert (found.now(5.0), found.joules(0.0, 5.0), found.points()) == (None, None, [])
    found.add_reading(PowerReading(1.0, "nobody", 4.0))  # never announced
    assert found.now(5.0) is None
    found.add_source(PowerSource(t=0.0, **SOURCE))
    assert found.now(5.0) is None
    for t in (1.0, 2.0, 3.0):
        found.add_reading(PowerReading(t, "ina226", 4.0))
    now = found.now(5.0)
    assert now is not None
    assert (now.source.source, now.watts, now.age_s) == ("ina226", 4.0, 2.0)
    assert found.joules(0.0, 5.0) == 8.0
