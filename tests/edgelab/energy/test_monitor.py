from __future__ import annotations

import math
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from edgelab.energy.ledger import EnergyLedger
from edgelab.energy.monitor import Feed, Poller, PowerMonitor
from edgelab.energy.plugs import shelly_gen2
from edgelab.energy.sources import Reading, Source, SourceError, SourceFacts
from edgelab.energy.sysfs import find_hwmon, find_rapl
from tests.edgelab.energy import boards, fake_plug
from tests.edgelab.energy.test_integrate import curve, energy, jittered
from tests.edgelab.energy.test_plugs import GEN2, device

PATIENCE_S = 30.0  # a limit for a broken test, never waited for by a whole one


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """A source that gives what it is told to, and waits until it is told."""

    def __init__(self, slow: bool = True) -> None:
        self.facts = SourceFacts("scripted", "measured", "wall", 0.02, 0.001, slow)
        self.told: queue.Queue[Reading | Exception] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()

    def read(self) -> Reading:
        self.asked.release()
        told = self.told.get(timeout=PATIENCE_S)
        if isinstance(told, Exception):
            raise told
        return told

    def close(self) -> None:
        self.closed.set()

    def was_asked(self, times: int = 1) -> None:
        """Wait until it has been asked so often: what it was told before is then in the queue."""
        for _ in range(times):
            assert self.asked.acquire(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (SourceError("no answer within 2 s"), "no answer within 2 s"),
        (ZeroDivisionError("hunter2"), "unexpected ZeroDivisionError"),
        (Reading(watts=math.nan), "it shows nan, which is no power that a board can take"),
        (Reading(watts=-3.0), "it shows -3, which is no power that a board can take"),
        (Reading(watts=1.0, joules=math.inf), "it shows inf, which"),
        (Reading(), "it shows neither watts nor joules"),
    ],
)
def test_a_missed_reading_is_counted_with_its_reason(
    told: Reading | Exception, reason: str
) -> None:
    source = Scripted()
    feed = Feed(source, Clock())
    source.told.put(told)
    assert feed.read() is None
    assert (feed.state.missed, feed.state.readings) == (1, 0)
    assert feed.state.reason.startswith(reason)
    source.told.put(Reading(watts=4.0))
    assert feed.read() is not None
    assert (feed.state.missed, feed.state.readings) == (1, 1)


def test_a_reading_carries_the_middle_of_its_taking() -> None:
    source, clock = Scripted(), Clock()
    ticks = iter([10.0, 10.5])
    source.told.put(Reading(watts=4.0))
    reading = Feed(source, lambda: next(ticks, clock())).read()
    assert reading is not None
    assert reading.t == 10.25


def test_a_source_that_hangs_delays_nobody() -> None:
    hanging, direct = Scripted(slow=True), Scripted(slow=False)
    direct.facts = SourceFacts("direct", "measured", "board input", 0.01)
    monitor = PowerMonitor([hanging, direct])
    hanging.was_asked()
    for watts in (4.0, 5.0):
        direct.told.put(Reading(watts=watts))
        assert [(reading.source, reading.watts) for reading in monitor.tick()] == [
            ("direct", watts)
        ]
    hanging.told.put(Reading(watts=7.0))
    hanging.was_asked()  # and hangs again
    direct.told.put(SourceError("gone"))
    assert [(reading.source, reading.watts) for reading in monitor.tick()] == [("scripted", 7.0)]
    monitor.close()
    assert direct.closed.is_set()
    hanging.told.put(SourceError("at last"))
    assert hanging.closed.wait(PATIENCE_S)
    assert [(state.name, state.readings) for state in monitor.states] == [
        ("scripted", 1),
        ("direct", 2),
    ]


def test_a_supervisor_that_is_held_up_finds_the_newest_readings() -> None:
    source = Scripted()
    for number in range(700):
        source.told.put(Reading(watts=float(number)))
    poller = Poller(Feed(source, time.monotonic), time.monotonic, wait=lambda _: False)
    source.was_asked(701)
    taken = [reading.watts for reading in poller.take()]
    assert taken == [float(number) for number in range(100, 700)]
    assert poller.take() == []
    end_of(poller, source)


def end_of(poller: Poller, source: Scripted) -> None:
    poller._wait = lambda _: True
    source.told.put(SourceError("end"))
    poller.thread.join(PATIENCE_S)
    assert not poller.thread.is_alive()
    assert source.closed.is_set()


def test_a_late_reading_is_not_made_up_for() -> None:
    """Period 1 s; the second reading takes 3.5 s: the third is due at the next tick of the grid."""
    source, clock = Scripted(), Clock()
    source.facts = SourceFacts("scripted", "measured", "wall", 0.02, 1.0, slow=True)
    pauses: list[float] = []
    durations = iter([0.0, 3.5, 0.0, 0.0])

    def reads_after(read: Callable[[], Reading]) -> Callable[[], Reading]:
        def timed() -> Reading:
            clock.now += next(durations)
            return read()

        return timed

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        clock.now += seconds
        return len(pauses) > 4

    source.read = reads_after(lambda: Reading(watts=1.0))  # type: ignore[method-assign]
    Poller(Feed(source, clock), clock, wait).thread.join(PATIENCE_S)
    assert pauses == [0.0, 1.0, 0.5, 1.0, 1.0]


def test_a_run_can_wait_for_the_last_word_of_each_source() -> None:
    """A reading that was begun before the end of the run says nothing of its end."""
    source = Scripted()
    monitor = PowerMonitor([source])
    source.was_asked()
    end = time.monotonic()
    source.told.put(Reading(watts=4.0))
    source.was_asked()
    assert not monitor.heard_since(end)
    source.told.put(SourceError("no answer within 2 s"))
    source.was_asked()
    assert monitor.heard_since(end)
    assert [reading.watts for reading in monitor.tick()] == [4.0]
    monitor.close()
    source.told.put(SourceError("end"))
    assert source.closed.wait(PATIENCE_S)
    assert PowerMonitor([]).heard_since(end)


def test_the_announcement_comes_before_every_reading() -> None:
    source = Scripted()
    source.told.put(Reading(watts=4.0))
    monitor = PowerMonitor([source])
    source.was_asked(2)
    (announced,) = monitor.announce()
    (reading,) = monitor.tick()
    assert announced.t <= reading.t
    assert (announced.source, announced.period_s) == ("scripted", 0.001)
    monitor.close()
    source.told.put(SourceError("end"))
    assert source.closed.wait(PATIENCE_S)


def test_a_jump_of_the_wall_clock_is_not_even_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden() -> float:
        raise AssertionError("the wall clock was asked")

    boards.ina226(tmp_path, 4.0)
    boards.rapl(tmp_path)
    monkeypatch.setattr(time, "time", forbidden)
    monitor = PowerMonitor([*find_hwmon(tmp_path), *find_rapl(tmp_path)])
    before = time.monotonic()
    readings = monitor.tick()
    assert len(readings) == 2
    assert all(before <= reading.t <= time.monotonic() for reading in readings)
    assert all(state.missed == 0 for state in monitor.states)
    monitor.close()


def follow(
    sources: Sequence[Source], clock: Clock, at: Callable[[float], object], ticks: Sequence[float]
) -> EnergyLedger:
    """Run a monitor over the ticks, as the supervisor does, into a ledger."""
    monitor = PowerMonitor(sources, clock)
    ledger = EnergyLedger()
    for source in monitor.announce():
        ledger.add_source(source)
    for t in ticks:
        clock.now = t
        at(t)
        for reading in monitor.tick():
            ledger.add_reading(reading)
    monitor.close()
    return ledger


def test_an_ina226_that_follows_a_known_curve_is_integrated_within_half_a_per_cent(
    tmp_path: Path,
) -> None:
    path, clock = boards.ina226(tmp_path), Clock()
    ledger = follow(
        find_hwmon(tmp_path),
        clock,
        lambda t: path.write_text(f"{round(curve(t) * 1e6 / 6250) * 6250}\n"),
        jittered(301),
    )
    (got,) = ledger.figures(10.3, 290.7, 100)
    truth = energy(290.7) - energy(10.3)
    assert got.joules == pytest.approx(truth, rel=0.005)
    assert got.coverage == pytest.approx(1.0)
    assert got.joules_per_item == pytest.approx(truth / 100, rel=0.005)


def test_dropped_samples_are_missing_from_the_coverage_and_from_nothing_else(
    tmp_path: Path,
) -> None:
    path, clock = boards.ina226(tmp_path), Clock()
    times = jittered(301)
    rng = random.Random(3)
    dropped = {*range(100, 120), *(rng.randrange(130, 290) for _ in range(12))}

    def at(t: float) -> None:
        index = times.index(t)
        path.write_text("oops" if index in dropped else f"{round(curve(t) * 1e6)}\n")

    ledger = follow(find_hwmon(tmp_path), clock, at, times)
    kept = [t for index, t in enumerate(times) if index not in dropped]
    gaps = [(a, b) for a, b in pairwise(kept) if b - a > 3.0]
    assert gaps[0] == (times[99], times[120])
    missing = sum(b - a for a, b in gaps)
    (got,) = ledger.figures(10.3, 290.7)
    assert got.coverage == pytest.approx(1 - missing / 280.4)
    truth = energy(290.7) - energy(10.3) - sum(energy(b) - energy(a) for a, b in gaps)
    assert got.joules == pytest.approx(truth, rel=0.005)


def test_a_rapl_counter_that_wraps_in_mid_run_is_integrated_exactly(tmp_path: Path) -> None:
    folder, clock = boards.rapl(tmp_path, (0,), range_uj=100_000_000), Clock()

    def at(t: float) -> None:
        shown = round(1e6 * energy(t)) % 100_000_000
        (folder / "intel-rapl:0/energy_uj").write_text(f"{shown}\n")

    times = [float(t) for t in range(301) if not 150 <= t < 165]
    ledger = follow(find_rapl(tmp_path), clock, at, times)
    (got,) = ledger.figures(10.0, 290.0)
    assert got.joules == pytest.approx(energy(290.0) - energy(10.0), rel=1e-6)
    assert got.coverage == 1.0


def test_a_plug_that_stops_answering_and_comes_back_costs_coverage_only() -> None:
    with fake_plug.running() as server:
        facts = SourceFacts("plug", "measured", "wall", 0.02)  # read in step with the test
        plug, clock = shelly_gen2(facts, device(server), 0, "Switch"), Clock()
        well = fake_plug.shows({"apower": 4.3})
        broken = [fake_plug.status(500), fake_plug.raw(b"no"), fake_plug.status(401)]

        def at(t: float) -> None:
            server.behaviour = broken[int(t) % 3] if 20 <= t < 30 else well

        ledger = follow([plug], clock, at, [float(t) for t in range(61)])
    (got,) = ledger.figures(0.0, 60.0)
    assert got.coverage == pytest.approx(49 / 60)
    assert got.joules == pytest.approx(4.3 * 49)


def test_a_real_poller_reads_a_real_plug_and_says_what_it_missed() -> None:
    with fake_plug.running() as server:
        answered = threading.Semaphore(0)

        def behave(handler: fake_plug.Handler) -> None:
            (fake_plug.status(500) if len(server.requests) == 2 else fake_plug.shows(GEN2))(handler)
            answered.release()

        server.behaviour = behave
        facts = SourceFacts("plug", "measured", "wall", 0.02, 0.001, slow=True)
        monitor = PowerMonitor([shelly_gen2(facts, device(server), 0, "Switch")])
        for _ in range(4):
            assert answered.acquire(timeout=PATIENCE_S)
        readings = monitor.tick()
        (state,) = monitor.states
        monitor.close()
        for reader in monitor._readers:
            assert isinstance(reader, Poller)
            reader.thread.join(PATIENCE_S)
    assert [reading.watts for reading in readings][:2] == [4.3, 4.3]
    assert (state.missed, state.reason) == (1, "it answers with status 500")
