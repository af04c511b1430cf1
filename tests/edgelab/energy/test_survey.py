from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgelab.energy.config import CommandConfig, PowerConfig, PowerSettings
from edgelab.energy.discovery import Origin
from edgelab.energy.sources import Reading, SourceError, SourceFacts
from edgelab.energy.survey import Look, entries, look_at, survey
from edgelab.export import sources_csv
from edgelab.home import Home
from tests.edgelab.energy import boards


class Scripted:
    """A source that answers what it is told to."""

    def __init__(self, *answers: Reading | str, slow: bool = False) -> None:
        self.facts = SourceFacts("scripted", "measured", "wall", 0.02, slow=slow)
        self.answers = list(answers)
        self.closed = False

    def read(self) -> Reading:
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise SourceError(answer)
        return answer

    def close(self) -> None:
        self.closed = True


class Clock:
    """Time passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Scripted(Reading(watts=3.5)), Look(3.5)),
        (Scripted(Reading(watts=3.5, joules=10.0), slow=True), Look(3.5)),
        (Scripted(Reading(joules=10.0), Reading(joules=12.0)), Look(4.0)),
        (Scripted("no time has passed", Reading(watts=2.0)), Look(2.0)),
        (Scripted("no answer", slow=True), Look(reason="no answer")),
        (Scripted("gone", "still gone"), Look(reason="still gone")),
        (Scripted(Reading(joules=1.0), "gone"), Look(reason="gone")),
        (Scripted("x", Reading(joules=1.0)), Look(reason="its counter began just now: look again")),
    ],
)
def test_one_look(source: Scripted, expected: Look) -> None:
    clock = Clock()
    assert look_at(source, clock, clock.wait) == expected
    assert source.closed
    assert source.answers == []


def test_nonsense_is_no_power() -> None:
    look = look_at(Scripted(Reading(watts=-3.0), slow=True))
    assert look.watts is None
    assert "no power" in look.reason


def test_a_fault_in_a_source_is_its_reason() -> None:
    assert "IndexError" in look_at(Scripted(slow=True)).reason


def test_a_board_with_a_chip_and_a_command(home: Home, tmp_path: Path) -> None:
    root = tmp_path / "board"
    boards.ina226(root, watts=3.5)
    command = CommandConfig(name="psu", command=(sys.executable, "-c", "print(4.25)"))
    settings = PowerSettings(PowerConfig(source=(command,), use=("psu", "ina226")))
    found = survey(home, settings, root)
    listed = entries(found)
    assert [(e.rank, e.name, e.origin) for e in listed[:2]] == [
        (1, "psu", Origin("command", 0)),
        (2, "ina226", Origin("hwmon")),
    ]
    assert {e.name: e.reason for e in listed[2:]}["battery"] == "no battery"
    assert [look_at(source).watts for source in found.sources] == [4.25, 3.5]


def test_sources_as_csv(home: Home, tmp_path: Path) -> None:
    root = tmp_path / "board"
    boards.ina226(root)
    header, chip, *absent = sources_csv(entries(survey(home, PowerSettings(), root))).splitlines()
    assert header == "rank,source,kind,watts,method,scope,accuracy,period_s,where,reason"
    assert chip == "1,ina226,hwmon,,measured,board input,0.01,1.0,hwmon0,"
    assert ",battery,battery,,,,,,,no battery" in absent
