"""A training as its records tell it: live, resumed, kept, exported."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.cli.follow import print_results
from edgelab.export import curves_csv
from edgelab.home import Home
from edgelab.learned import balance_words, class_rows, epoch_rows, score_rows
from edgelab.reader import LiveRun, Replay
from edgelab.record import RunRecord
from edgelab.schema import read_json
from edgelab.settings.train import TrainSettings
from edgelab.store import Store
from edgelab.training_state import Curve, TrainingState
from tests.recorded_training import (
    CLASSES,
    STEPS_PER_EPOCH,
    epoch_ended,
    scores,
    started,
    step,
    write_training,
)


def state_after(steps: int) -> TrainingState:
    state = TrainingState(started(10.0))
    for number in range(1, steps + 1):
        state.add_step(step(number, 10.0 + number))
    return state


@given(st.lists(st.floats(-1e3, 1e3), max_size=300))
def test_a_curve_stays_small_and_keeps_its_mean(values: list[float]) -> None:
    curve = Curve(most=16)
    for number, value in enumerate(values, 1):
        curve.add(number, value)
    assert len(curve.points) <= 16
    steps = [at for at, _ in curve.points]
    assert steps == sorted(set(steps))
    if curve.points:
        covered = values[: steps[-1]]
        weights = [after - before for before, after in zip([0, *steps], steps, strict=False)]
        mean = sum(w * y for w, (_, y) in zip(weights, curve.points, strict=True)) / steps[-1]
        assert mean == pytest.approx(sum(covered) / len(covered), abs=1e-6)


def test_rate_and_time_left_are_those_of_the_steps() -> None:
    state = state_after(15)
    assert state.examples_per_s == pytest.approx(8.0)
    assert state.time_left_s == pytest.approx(25.0)
    assert (state.steps, state.epoch, state.planned) == (15, 2, 40)
    assert state_after(0).time_left_s is None


def test_what_a_resumed_run_repeats_counts_once() -> None:
    state = state_after(25)
    state.add_epoch(epoch_ended(1, 20.5, 0.6))
    state.add_epoch(epoch_ended(2, 30.5, 0.7))
    state.resume(started(100.0, resumed_at=12))
    assert [at for at, _ in state.loss.points] == list(range(1, 13))
    assert [epoch.epoch for epoch in state.epochs] == [1]
    assert state.steps == 12
    assert state.elapsed_s == pytest.approx(25.0)
    state.add_step(step(13, 101.0))
    assert [at for at, _ in state.loss.points] == list(range(1, 14))
    assert state.elapsed_s == pytest.approx(26.0)
    assert state.time_left_s == pytest.approx(27.0)


def test_the_best_epoch_is_the_newest_best() -> None:
    state = state_after(20)
    state.add_epoch(epoch_ended(1, 20.5, 0.8))
    state.add_epoch(epoch_ended(2, 30.5, 0.7, best=False))
    assert state.best is not None
    assert state.best.epoch == 1
    assert state.summary().best == state.best


def test_live_replay_and_record_are_one(home: Home) -> None:
    folder = write_training(home)
    live, replay = LiveRun(folder), Replay(folder)
    live.advance()
    replay.seek(replay.length)
    replay.advance()
    kept = read_json(folder.record, RunRecord)
    assert kept.training == live.projection.record().training
    assert kept.training == replay.projection.record().training
    assert kept.training is not None
    assert (len(kept.training.epochs), kept.training.steps) == (2, 20)
    assert kept.training.why_ended == "no better since epoch 2"
    assert kept.scores == (scores(),)
    assert kept.splits[0].by_class == (30, 20, 30)


def test_a_replay_goes_back(home: Home) -> None:
    replay = Replay(write_training(home))
    replay.seek(replay.length)
    replay.advance()
    replay.seek(15.0)  # the clock of the run begins at 1
    replay.advance()
    training = replay.projection.training
    assert training is not None
    assert (training.steps, training.epochs) == (6, [])


def test_the_index_keeps_scores_without_their_classes(home: Home) -> None:
    write_training(home)
    (record,) = Store(home).all()
    assert record.scores[0].accuracy == scores().accuracy
    assert (record.scores[0].classes, record.scores[0].confusion) == ((), ())


def test_curves_are_a_row_a_step_and_an_epoch(home: Home) -> None:
    rows = list(csv.DictReader(io.StringIO(curves_csv([write_training(home)]))))
    assert len(rows) == 2 * STEPS_PER_EPOCH + 2
    first, last = rows[0], rows[-1]
    assert (first["step"], float(first["train_loss"]), first["val_accuracy"]) == ("1", 2.0, "")
    assert (last["epoch"], last["step"], last["best"]) == ("2", "", "1")
    assert float(last["val_accuracy"]) == pytest.approx(0.8)


def test_tables_of_what_was_learned(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    record = read_json(write_training(home).record, RunRecord)
    assert record.training is not None
    assert [row[0] for row in epoch_rows(record.training)] == ["1", "2"]
    assert score_rows(record)[0][3] == "0.800 (0.700-0.900)"
    assert [row[-1] for row in class_rows(scores())] == ["pie 2x", "bar 1x", "bar 3x"]
    assert balance_words(record.splits[0], CLASSES) == "80 images: 30 bar, 30 =line, 20 pie"
    print_results(record)
    printed = capsys.readouterr().out
    assert "2 of 4 epochs, 20 steps" in printed
    assert "taken for" in printed


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_size", 4), ("val_share", 0.5), ("plateau_factor", 1.0), ("device", "tpu")],
)
def test_wrong_settings_are_named(key: str, value: object) -> None:
    raw = {"task": "train", "model": "vit-tiny-3", "dataset": "charts", key: value}
    with pytest.raises(msgspec.ValidationError, match=key):
        msgspec.convert(raw, TrainSettings)
