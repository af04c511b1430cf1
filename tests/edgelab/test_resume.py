from __future__ import annotations

import time

import pytest

from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.outcome import close_run, end_run
from edgelab.problem import Problem
from edgelab.queue import enqueue, queued
from edgelab.reader import LiveRun
from edgelab.records import (
    BaselineEnded,
    Outcome,
    PassStarted,
    PowerReading,
    Started,
    StepEnded,
    moved,
)
from edgelab.resume import GAP_S, next_attempt, resume
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision
from edgelab.steps import PREPARE, SCORE, steps_of
from tests.recorded import life_of, make_item, make_spec, write_run


@pytest.fixture
def killed(home: Home) -> RunFolder:
    items = [make_item(index, 103.0 + index) for index in range(5)]
    folder = write_run(home, make_spec(), life_of(items, Outcome.KILLED))
    close_run(home, folder)
    return folder


def test_the_next_attempt_goes_on_behind_the_newest_record(killed: RunFolder) -> None:
    attempt = next_attempt(killed)
    newest = LiveRun(killed)
    newest.advance()
    assert newest.projection.now is not None
    on_the_runs_clock = time.monotonic() + attempt.shift_s
    assert newest.projection.now + GAP_S <= on_the_runs_clock < newest.projection.now + GAP_S + 60
    assert attempt.earlier_s == pytest.approx(8.1)
    assert attempt.finished == frozenset()


def test_a_run_that_never_began_has_nothing_behind_it(home: Home) -> None:
    assert next_attempt(write_run(home, make_spec(), {})).shift_s == 0.0


def test_a_resumed_run_waits_and_is_no_result_any_more(home: Home, killed: RunFolder) -> None:
    resume(home, killed)
    assert [folder.id for folder in queued(home)] == [killed.id]
    record = Lab(home).runs()[0]
    assert record.outcome is Outcome.QUEUED
    assert record.reason == ""
    assert record.started == 1_700_000_100
    assert record.passes[0].outcome is Outcome.QUEUED
    assert record.passes[0].images == 5
    with pytest.raises(Problem, match="waiting or running already"):
        resume(home, killed)


@pytest.mark.parametrize("done", ["marker", "journal", "record"])
def test_a_crash_half_way_is_made_good_by_asking_again(
    home: Home, killed: RunFolder, monkeypatch: pytest.MonkeyPatch, done: str
) -> None:
    """Whatever was done before the crash, asking again completes it, with one record of it."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    broken = {
        "marker": "edgelab.resume._append",
        "journal": "edgelab.store.Store.remove",
        "record": "edgelab.resume.enqueue",
    }[done]
    with monkeypatch.context() as patched:
        patched.setattr(broken, crash)
        with pytest.raises(KeyboardInterrupt):
            resume(home, killed)
    resume(home, killed)
    assert [folder.id for folder in queued(home)] == [killed.id]
    assert not killed.record.exists()
    assert killed.life.read_text().count('"resumed"') == 1


def test_a_waiting_resumed_run_that_is_stopped_is_over_as_it_was(
    home: Home, killed: RunFolder
) -> None:
    resume(home, killed)
    end_run(home, killed, Outcome.STOPPED, "stopped while waiting in the queue")
    assert Lab(home).runs()[0].outcome is Outcome.STOPPED
    assert not queued(home)
    assert not killed.resume_request.exists()


def test_what_is_finished_is_not_done_again(home: Home) -> None:
    spec = make_spec(precisions=(Precision.FP32, Precision.FP16))
    journals = life_of([make_item(0, 103.0)])
    journals["life"] = [
        journals["life"][0],
        StepEnded(t=101, step=PREPARE, outcome=Outcome.FINISHED),
        StepEnded(t=102, step="fp32", outcome=Outcome.FINISHED),
        StepEnded(t=103, step="fp16", outcome=Outcome.KILLED),
    ]
    folder = write_run(home, spec, journals)
    finished = next_attempt(folder).finished
    assert finished == {PREPARE, "fp32"}
    left = [step.name for step in steps_of(spec) if step.again or step.name not in finished]
    assert left == [PREPARE, "fp16", SCORE]


def test_every_reading_of_the_clock_is_moved() -> None:
    assert moved(BaselineEnded(t=2.0, since=1.0), 10.0) == BaselineEnded(t=12.0, since=11.0)
    reading = PowerReading(t=1.0, source="s", watts=2.0)
    assert moved(reading, -0.5) == PowerReading(t=0.5, source="s", watts=2.0)
    started = PassStarted(
        t=1.0, precision=Precision.FP32, images=3, repetitions=1, load_s=0.5, warmup=2
    )
    assert moved(started, 1.0).load_s == 0.5  # type: ignore[attr-defined]


def test_a_reboot_between_two_attempts_moves_no_figure(home: Home, killed: RunFolder) -> None:
    """The machine's clock begins anew, the run's goes on."""
    resume(home, killed)
    attempt = next_attempt(killed)
    assert attempt.shift_s != 0.0
    from edgelab.journal import JournalWriter

    with JournalWriter(killed.life, attempt.shift_s) as life:
        life.append(
            Started(
                t=time.monotonic(), wall=1_700_009_999, boot_id="b2", supervisor_pid=1,
                environment={"cpu": "c"},
            )
        )  # fmt: skip
    live = LiveRun(killed)
    live.advance()
    assert live.projection.outcome is Outcome.RUNNING
    assert live.projection.elapsed_s == pytest.approx(attempt.earlier_s, abs=0.01)
    assert live.projection.started is not None
    assert live.projection.started.boot_id == "b2"
    assert live.projection.record().started == 1_700_000_100


def test_enqueue_keeps_the_runs_own_number(home: Home, killed: RunFolder) -> None:
    enqueue(home, 7, "00000007")
    resume(home, killed)
    assert [folder.id for folder in queued(home)] == [killed.id, "00000007"]
