from __future__ import annotations

from collections.abc import Callable

from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.records import Outcome
from screens.watch import Watch
from tests.screens.recorded_run import RecordedRun

Recorder = Callable[..., RecordedRun]


def test_nothing_moves_in_a_lab_at_rest(home: Home, record: Recorder) -> None:
    record(1).complete()
    watch = Watch(Lab(home))
    assert watch.moved()
    watch.read()
    assert not watch.moved()


def test_a_run_is_noticed_in_each_of_its_states(home: Home, record: Recorder) -> None:
    watch = Watch(Lab(home))
    watch.moved()
    run = record(1).queue()
    assert watch.moved()
    assert watch.read().state == "run #1 queued"
    watch.moved()
    run.begin()
    assert watch.moved()
    assert watch.read().state == "run #1 running"
    run.end(Outcome.STOPPED, "stopped on request")
    assert watch.moved()
    snapshot = watch.read()
    assert (snapshot.state, [r.outcome for r in snapshot.runs]) == ("no run on", [Outcome.STOPPED])


def test_the_queue_is_counted_and_newest_runs_stand_first(home: Home, record: Recorder) -> None:
    record(1).complete()
    record(2).queue().begin()
    record(3).queue()
    snapshot = Watch(Lab(home)).read()
    assert [run.spec.number for run in snapshot.runs] == [3, 2, 1]
    assert snapshot.state == "run #2 running · 1 waiting"


def test_a_folder_without_a_readable_spec_is_left_out(home: Home, record: Recorder) -> None:
    record(1).queue().folder.spec_file.write_text("{")
    assert Watch(Lab(home)).read().active == ()
