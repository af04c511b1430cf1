from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgelab import observer, supervisor
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.lab import Lab
from edgelab.outcome import close_run
from edgelab.queue import queued
from edgelab.reader import RunReader
from edgelab.records import (
    BaselineEnded,
    Outcome,
    PowerSource,
    Sample,
    Started,
    StepEnded,
    StepStarted,
    Waiting,
)
from edgelab.run_folder import RunFolder
from edgelab.spec import CoolDown, RunSpec
from edgelab.steps import Step
from edgelab.supervisor import Flag, drain
from tests.recorded import life_of, make_item, make_spec, write_run

Steps = Callable[..., None]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Let runs consist of real processes that behave as told, by run number."""

    def choose(*behaviours: str, needed: bool = True) -> None:
        def steps_of(_: RunSpec) -> tuple[Step, ...]:
            return tuple(
                Step(name, "tests.programs", (name.partition("-")[0],), needed)
                for name in behaviours
            )

        monkeypatch.setattr(supervisor, "steps_of", steps_of)

    return choose


@pytest.fixture
def waiting(home: Home) -> RunFolder:
    return write_run(home, make_spec(1), {}, waiting=True)


def when_waiting(folder: RunFolder, act: Callable[[], object]) -> threading.Thread:
    """Do something as soon as the runner says that it waits."""

    def watch() -> None:
        deadline = time.monotonic() + 30
        while not (folder.path / "waiting").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("how", "outcome", "reason"),
    [
        ("finish", Outcome.FINISHED, ""),
        ("fail", Outcome.FAILED, "ValueError: the weights are of the wrong shape"),
        ("segfault", Outcome.KILLED, "SIGSEGV"),
        ("kill", Outcome.KILLED, "SIGKILL"),
        ("memory", Outcome.OUT_OF_MEMORY, "it asked for, in the stage prefill"),
        ("disk", Outcome.FAILED, "disk is full"),
    ],
)
def test_deaths_are_told_apart(
    home: Home, steps: Steps, waiting: RunFolder, how: str, outcome: Outcome, reason: str
) -> None:
    steps(how)
    drain(home, Flag())
    record = Lab(home).runs()[0]
    assert record.outcome is outcome
    assert reason in record.reason
    assert waiting.record.exists()
    assert not queued(home)


def test_the_queue_goes_on_after_a_death(home: Home, steps: Steps) -> None:
    for number in (1, 2, 3):
        write_run(home, make_spec(number), {}, waiting=True)
    steps("kill")
    drain(home, Flag())
    assert [record.outcome for record in Lab(home).runs()] == [Outcome.KILLED] * 3


def test_a_failed_pass_does_not_cost_the_others(
    home: Home, steps: Steps, waiting: RunFolder
) -> None:
    steps("memory", "finish", needed=False)
    drain(home, Flag())
    assert "about to finish" in waiting.log.read_text()
    assert Lab(home).runs()[0].outcome is Outcome.OUT_OF_MEMORY


def test_a_failed_preparation_ends_the_run(home: Home, steps: Steps, waiting: RunFolder) -> None:
    steps("fail", "finish")
    drain(home, Flag())
    assert "about to finish" not in waiting.log.read_text()


@pytest.mark.parametrize("how", ["wait", "ignore"])
def test_a_stop_is_obeyed_even_by_the_deaf(
    home: Home, steps: Steps, waiting: RunFolder, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_GRACE_S", 0.2)
    steps(how, "finish")
    thread = when_waiting(waiting, waiting.request_stop)
    drain(home, Flag())
    thread.join()
    assert Lab(home).runs()[0].outcome is Outcome.STOPPED
    assert "about to finish" not in waiting.log.read_text()


def test_a_time_limit_ends_the_run(home: Home, steps: Steps) -> None:
    spec = msgspec.structs.replace(make_spec(1), time_limit_s=0.2)
    write_run(home, spec, {}, waiting=True)
    steps("wait")
    drain(home, Flag())
    record = Lab(home).runs()[0]
    assert record.outcome is Outcome.TIMED_OUT
    assert "0.2 s" in record.reason


def test_a_supervisor_told_to_end_takes_its_runner_along(
    home: Home, steps: Steps, waiting: RunFolder
) -> None:
    flag = Flag()
    steps("wait")
    thread = when_waiting(waiting, flag.set)
    drain(home, flag)
    thread.join()
    assert Lab(home).runs()[0].outcome is Outcome.INTERRUPTED


def test_a_run_stopped_while_waiting_never_starts(home: Home, steps: Steps) -> None:
    write_run(home, make_spec(1), {}, waiting=True).request_stop()
    steps("finish")
    drain(home, Flag())
    record = Lab(home).runs()[0]
    assert record.outcome is Outcome.STOPPED
    assert record.started is None


@pytest.mark.parametrize(
    ("boot", "reason"), [("same", "supervisor died"), ("other", "machine went down")]
)
def test_a_run_that_nobody_ended_is_interrupted(
    home: Home, lab: Lab, boot: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor.environment, "boot_id", lambda: "same")
    journals = life_of([make_item(index, 103.0 + index) for index in range(20)])
    journals["life"] = [
        Started(t=100, wall=1, boot_id=boot, supervisor_pid=1, environment={}),
        StepStarted(t=100.1, step="fp32", pid=2**22 + 1),
    ]
    journals["events"] = journals["events"][:3]
    write_run(home, make_spec(1), journals, waiting=True)
    lab.recover()
    record = lab.runs()[0]
    assert record.outcome is Outcome.INTERRUPTED
    assert reason in record.reason
    assert record.passes[0].images == 20
    assert record.duration_s == pytest.approx(22.0)
    assert not lab.active()


def test_an_orphaned_runner_is_ended_and_nobody_else(home: Home, steps: Steps) -> None:
    from edgelab.runner_process import RunnerProcess
    from edgelab.settling import end_orphan

    mine = write_run(home, make_spec(1), {})
    other = write_run(home, make_spec(2), {})
    process = RunnerProcess(Step("wait", "tests.programs", ("wait",)), mine)
    end_orphan(process.pid, other)
    assert process.wait(0.1) is None
    end_orphan(process.pid, mine)
    assert process.wait(10) == -signal.SIGKILL
    process.close()
    end_orphan(None, mine)


def test_closing_a_run_twice_changes_nothing(home: Home) -> None:
    folder = write_run(home, make_spec(1), life_of([make_item(0, 103.0)]), waiting=True)
    first = close_run(home, folder)
    assert close_run(home, folder) == first
    assert len(Lab(home).runs()) == 1


def test_a_full_disk_costs_the_telemetry_never_the_run(
    home: Home, steps: Steps, waiting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = JournalWriter.append

    def full(self: JournalWriter, record: object) -> None:
        if self.path.stem == "telemetry":
            with Path("/dev/full").open("wb", buffering=0) as file:
                file.write(b"x")
        real(self, record)  # type: ignore[arg-type]

    steps("finish")
    monkeypatch.setattr(observer, "PERIOD_S", 0.01)
    with monkeypatch.context() as patched:
        flag = Flag()
        patched.setattr(JournalWriter, "append", full)
        waiting.telemetry.write_bytes(b'{"type":"header","journal":"telemetry","version":1}\n')
        steps("wait", "finish")
        thread = when_waiting(waiting, waiting.request_stop)
        drain(home, flag)
        thread.join()
    assert Lab(home).runs()[0].outcome is Outcome.STOPPED


def test_how_a_run_ended_waits_for_room_on_a_full_disk(
    home: Home, steps: Steps, waiting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([True, True])
    real = supervisor.close_run

    def full_at_first(*arguments: object) -> object:
        if next(refusals, False):
            raise OSError(28, os.strerror(28))
        return real(*arguments)  # type: ignore[arg-type]

    steps("finish")
    monkeypatch.setattr(supervisor, "FULL_DISK_PAUSE_S", 0.0)
    monkeypatch.setattr(supervisor, "close_run", full_at_first)
    drain(home, Flag())
    assert Lab(home).runs()[0].outcome is Outcome.FINISHED


def test_a_run_whose_spec_is_broken_does_not_block_the_queue(home: Home, steps: Steps) -> None:
    write_run(home, make_spec(1), {}, waiting=True).spec_file.write_text("{}")
    write_run(home, make_spec(2), {}, waiting=True)
    steps("finish")
    assert [record.spec.number for record in Lab(home).runs()] == [2]
    drain(home, Flag())
    assert [record.spec.number for record in Lab(home).runs()] == [2]


def power_from(home: Home, watts: float) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    home.power_settings.write_text(
        "schema_version = 1\nidle_baseline_s = 0.3\n"
        f'[[source]]\nkind = "command"\nname = "meter"\ncommand = ["echo", "{watts}"]\n'
        "period_s = 0.2\n"
    )


def test_where_power_is_known_the_idle_board_is_measured_first(
    home: Home, steps: Steps, waiting: RunFolder
) -> None:
    power_from(home, 3.5)
    steps("finish")
    drain(home, Flag())
    records = RunReader(waiting).poll()
    kinds = [type(record).__name__ for record in records]
    assert kinds.index("Waiting") < kinds.index("BaselineEnded") < kinds.index("StepStarted")
    baseline = next(record for record in records if isinstance(record, BaselineEnded))
    assert baseline.t - baseline.since == pytest.approx(0.3, abs=0.25)
    source = next(record for record in records if isinstance(record, PowerSource))
    assert (source.source, source.method) == ("meter", "measured")


def test_broken_power_settings_cost_the_watts_never_the_run(
    home: Home, steps: Steps, waiting: RunFolder
) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    home.power_settings.write_text("schema_version = 'one'")
    steps("finish")
    drain(home, Flag())
    record = Lab(home).runs()[0]
    assert record.outcome is Outcome.FINISHED
    assert "power.toml: schema_version" in record.warnings[0]


def test_a_stretch_too_short_for_a_tick_is_sampled_at_its_end(
    home: Home, steps: Steps, waiting: RunFolder
) -> None:
    steps("finish")
    drain(home, Flag())
    records = RunReader(waiting).poll()
    last = [record for record in records if isinstance(record, Sample)][-1]
    ended = next(record for record in records if isinstance(record, StepEnded))
    assert last.t <= ended.t
    assert last.runner_cpu is not None
    assert last.runner_cpu > 0


class Oven:
    """A board that work makes hot, and that cools down after so many readings at rest."""

    def __init__(self, cool_after: int) -> None:
        self.at_rest = 0
        self.cool_after = cool_after
        self.worked = False

    def sample(self, tree: object = None, _: object = ()) -> Sample:
        self.worked = self.worked or tree is not None
        self.at_rest += self.worked and tree is None
        hot = self.worked and self.at_rest < self.cool_after
        return Sample(t=time.monotonic(), temperatures={"cpu": 80.0 if hot else 45.0})


@pytest.mark.parametrize(("cool_after", "limit"), [(4, 30.0), (10**9, 0.2)])
def test_the_cool_down_gate_opens_when_cool_or_at_its_limit(
    home: Home, steps: Steps, monkeypatch: pytest.MonkeyPatch, cool_after: int, limit: float
) -> None:
    oven = Oven(cool_after)
    monkeypatch.setattr(observer, "PERIOD_S", 0.01)
    monkeypatch.setattr(observer.Board, "sample", lambda _, *given: oven.sample(*given))
    spec = msgspec.structs.replace(make_spec(1), cool_down=CoolDown(limit_s=limit))
    folder = write_run(home, spec, {}, waiting=True)
    steps("fp32", "fp16", needed=False)
    drain(home, Flag())
    assert Lab(home).runs()[0].outcome is Outcome.FINISHED
    records = RunReader(folder).poll()
    waits = [record for record in records if isinstance(record, Waiting)]
    assert [wait.text for wait in waits] == ["cooling down to 45 °C"]
    second = [record for record in records if isinstance(record, StepStarted)][1]
    waited = second.t - waits[0].t
    assert (waited >= limit) == (cool_after > 4)


def test_a_run_without_power_and_gate_waits_for_nothing(
    home: Home, steps: Steps, waiting: RunFolder
) -> None:
    steps("finish")
    drain(home, Flag())
    assert not [r for r in RunReader(waiting).poll() if isinstance(r, Waiting)]


def test_a_governor_that_cannot_be_set_is_a_warning(
    home: Home, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Never this machine's own clocks: a test run as root would change them.
    monkeypatch.setattr("edgelab.telemetry.sensors.policies", lambda _: [])
    spec = msgspec.structs.replace(make_spec(1), governor="performance")
    write_run(home, spec, {}, waiting=True)
    steps("finish")
    drain(home, Flag())
    record = Lab(home).runs()[0]
    assert record.outcome is Outcome.FINISHED
    assert any("no cpufreq policy" in warning for warning in record.warnings)
