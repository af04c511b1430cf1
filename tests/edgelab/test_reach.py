"""The floor beside a run: from its journals, over the calibration of its board, to the screen."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from edgelab.calibration import (
    CALIBRATION_VERSION,
    BoardState,
    Calibration,
    Rate,
    Resource,
    write_calibration,
)
from edgelab.cli import run as command
from edgelab.graph_cost import GraphCost
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.record import RunRecord
from edgelab.records import ModelFacts, Record
from edgelab.results import SHOWN, rows_of
from edgelab.roofline import reach_of
from edgelab.settings.common import Precision
from tests.recorded import life_of, make_item, make_spec, write_run

COST = GraphCost({Precision.FP32: 3_000_000})  # 3 ms on the board below
ENVIRONMENT = {"cpu": "c"}  # of the recorded runs


def board(**environment: str) -> Calibration:
    resources = (Resource.FP32, Resource.MEMORY)
    return Calibration(
        version=CALIBRATION_VERSION,
        board="b",
        wall=0.0,
        duration_s=1.0,
        threads=2,
        rates=tuple(Rate(r.value, r, 2, 1e9, 1e9, 0.0, 10, 1, True) for r in resources),
        environment=ENVIRONMENT | environment,
        before=BoardState(),
        after=BoardState(),
    )


def recorded(home: Home, cost: GraphCost | None, images: int = 20) -> RunRecord:
    """A finished run whose inference takes 7 ms in the median."""
    journals = life_of([make_item(index, 103.0 + index) for index in range(images)])
    journals["events"] = list(_with_cost(journals["events"], cost))
    folder = write_run(home, make_spec(), journals)
    lab = Lab(home)
    assert lab.rebuild() == []
    return lab.record(folder)


def _with_cost(events: list[Record], cost: GraphCost | None) -> Iterator[Record]:
    for event in events:
        is_facts = isinstance(event, ModelFacts)
        yield msgspec.structs.replace(event, cost=cost) if is_facts else event


def test_a_pass_keeps_its_cost_and_its_median_inference(home: Home) -> None:
    (summary,) = recorded(home, COST).passes

    assert summary.cost == COST
    assert summary.infer_p50_ms == 7.0


def test_the_share_is_the_floor_over_the_median_inference(home: Home) -> None:
    record = recorded(home, COST)

    reach = reach_of(record, record.passes[0], board())

    assert reach is not None
    assert reach.floor.ms == pytest.approx(3.0)
    assert reach.share == pytest.approx(3 / 7)
    assert reach.words == "43 % of what this board can do (floor 3.00 ms, compute)"


def test_too_few_images_have_a_floor_but_no_share(home: Home) -> None:
    cost = msgspec.structs.replace(COST, unknown={"If": 1})
    record = recorded(home, cost, images=5)

    reach = reach_of(record, record.passes[0], board())

    assert reach is not None
    assert reach.share is None
    assert reach.words == ("too few images to tell (floor 3.00 ms)")


def test_runs_without_a_cost_have_no_floor(home: Home) -> None:
    record = recorded(home, None)  # as runs before this was counted

    assert reach_of(record, record.passes[0], board()) is None


def test_show_says_what_was_reached(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(home, COST)

    assert command(["show", "last"]) == 0
    assert "none of this board: edgelab calibrate" in capsys.readouterr().out

    path = write_calibration(home, board(governor="performance"))
    assert command(["show", "last"]) == 0
    assert "43 % of what this board can do" in capsys.readouterr().out

    path.write_text("{")
    assert command(["show", "last"]) == 0
    assert "not valid JSON" in capsys.readouterr().out


def test_show_says_what_has_changed_since(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    record = recorded(home, COST)
    assert record.environment == ENVIRONMENT
    changed = msgspec.structs.replace(record, environment=ENVIRONMENT | {"governor": "powersave"})
    Lab(home).folder(record.spec.id).record.write_bytes(msgspec.json.encode(changed))
    write_calibration(home, board(governor="performance"))

    assert command(["show", "last"]) == 0
    assert "under other conditions: governor was performance" in capsys.readouterr().out


def test_a_run_on_a_calibrated_board_keeps_its_floor(home: Home) -> None:
    write_calibration(home, board())
    record = recorded(home, COST)
    summary = record.passes[0]
    assert summary.floor_ms == pytest.approx(3.0)
    assert summary.floor_share == pytest.approx(3 / 7)
    row = next(rows_of(record))
    assert {c.title: c.text(row) for c in SHOWN}["of board"] == "43 %"


def test_without_a_calibration_nothing_is_claimed(home: Home) -> None:
    assert recorded(home, COST).passes[0].floor_share is None
