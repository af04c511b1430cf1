from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun, Replay
from edgelab.records import Outcome, Phase, Progress, Record
from edgelab.run_folder import RunFolder
from tests.recorded import life_of, make_item, make_spec, write_run

ITEMS = [make_item(index, 103.0 + index) for index in range(30)]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(home: Home) -> RunFolder:
    return write_run(home, make_spec(), life_of(ITEMS))


def figures(run: RunProjection) -> tuple[object, ...]:
    return (run.record(), run.done, run.time_left_s, run.phase, tuple(run.recent), run.last_item)


def test_live_at_the_end_equals_replay_at_the_end(folder: RunFolder) -> None:
    live = LiveRun(folder)
    live.advance()
    replay = Replay(folder)
    replay.seek(replay.length)
    replay.advance()
    assert figures(live.projection) == figures(replay.projection)
    assert live.projection.outcome is Outcome.FINISHED


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 40), min_size=1, max_size=8))
def test_replay_shows_at_each_moment_what_live_showed_then(moments: list[float]) -> None:
    """Live: records come one by one. Replay: jumps about, back and forth."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as root:
        folder = write_run(Home(Path(root)), make_spec(), life_of(ITEMS))
        replay = Replay(folder)
        for moment in moments:
            replay.seek(moment)
            replay.advance()
            if replay.position >= replay.length:
                continue
            live = RunProjection(make_spec())
            for record in replay.records:
                if record.t <= 100.0 + moment:  # type: ignore[attr-defined]
                    live.apply(record)
            assert figures(live) == figures(replay.projection)


def test_a_growing_run_is_followed(home: Home) -> None:
    journals = life_of(ITEMS)
    folder = write_run(home, make_spec(), {"life": journals["life"][:2]})
    live = LiveRun(folder)
    assert live.advance()
    assert live.projection.outcome is Outcome.RUNNING
    assert not live.advance()

    def append(stem: str, records: list[Record]) -> None:
        with JournalWriter(folder.path / f"{stem}.jsonl") as journal:
            for record in records:
                journal.append(record)

    append("events", journals["events"][:3])
    append("items", journals["items"][:10])
    live.advance()
    assert live.projection.done == 10
    assert live.projection.expected == 30
    # 10 items from t=102 to t=112: one a second, 20 to go.
    assert live.projection.time_left_s == pytest.approx(20.0)
    append("items", journals["items"][10:])
    append("events", journals["events"][3:])
    append("life", journals["life"][2:])
    live.advance()
    assert live.projection.outcome is Outcome.FINISHED
    assert live.projection.time_left_s is None


def test_replay_obeys_its_clock(folder: RunFolder) -> None:
    clock = Clock()
    replay = Replay(folder, speed=2.0, monotonic=clock)
    steps: list[tuple[Callable[[], object], float]] = [
        (replay.play, 0.0),
        (lambda: setattr(clock, "now", 3.0), 6.0),
        (replay.pause, 6.0),
        (lambda: setattr(clock, "now", 50.0), 6.0),
        (lambda: replay.seek(4.0), 4.0),
        (replay.play, 4.0),
        (lambda: setattr(replay, "speed", 1.0), 4.0),
        (lambda: setattr(clock, "now", 55.0), 9.0),
        (lambda: replay.seek(-1.0), 0.0),
        (lambda: setattr(clock, "now", 1000.0), replay.length),
    ]
    for act, position in steps:
        act()
        assert replay.position == pytest.approx(position)
    replay.advance()
    assert not replay.playing
    replay.play()
    assert replay.position == 0.0


def test_a_run_without_a_journal_can_be_replayed(home: Home) -> None:
    replay = Replay(write_run(home, make_spec(), {}))
    replay.play()
    assert not replay.advance()
    assert replay.projection.outcome is Outcome.QUEUED


def test_an_error_item_counts_as_error_and_nothing_else(home: Home) -> None:
    import msgspec

    bad = msgspec.structs.replace(
        ITEMS[3], error="cannot be decoded", times=None, counts=(), truth=None
    )
    folder = write_run(home, make_spec(), life_of([*ITEMS[:3], bad]))
    live = LiveRun(folder)
    live.advance()
    summary = live.projection.record().passes[0]
    assert (summary.images, summary.errors) == (3, 1)
    assert summary.rows[0].gt_count == 9


def test_a_jump_of_the_wall_clock_in_mid_run_changes_no_figure(home: Home) -> None:
    import msgspec

    journals = life_of(ITEMS)
    *before, ended = journals["life"]
    jumped = msgspec.structs.replace(ended, wall=0.0)  # a board without a clock battery
    plain = LiveRun(write_run(home, make_spec(1), journals))
    odd = LiveRun(write_run(home, make_spec(2), {**journals, "life": [*before, jumped]}))
    for run in (plain, odd):
        run.advance()
    first, second = plain.projection.record(), odd.projection.record()
    assert second.ended == 0.0
    assert msgspec.structs.replace(second, spec=first.spec, ended=first.ended) == first


def test_what_counts_its_units_tells_how_long_it_will_take() -> None:
    live = RunProjection(make_spec())
    live.apply(Phase(100.0, "prepare", "draw the train images", 40, "images"))
    assert live.phase_left_s is None  # nothing is done yet
    live.apply(Progress(110.0, "prepare", 10))
    assert live.phase_left_s == pytest.approx(30.0)
    live.apply(Phase(120.0, "prepare", "read the model", None, ""))
    assert live.phase_left_s is None
