"""What a person mistypes is told by the command that was meant."""

from __future__ import annotations

import pytest

from edgelab.cli import power
from edgelab.cli import run as command
from edgelab.energy.discovery import Discovered
from edgelab.home import Home


@pytest.mark.parametrize(
    ("typed", "usage", "said"),
    [
        ("run detect --datset shapes", "run detect", "no option is called --datset: did you mean "
         "--dataset?"),
        ("runs --jsn", "runs", "--jsn: did you mean --json?"),
        ("datasets check x --modle=y", "datasets check", "--modle: did you mean --model?"),
        ("show last --zzz", "show", "no option is called --zzz\n"),
        ("show last more", "show", "not known: more\n"),
        ("show last --by clas", "show", "did you mean class?"),
        ("rns", "", "did you mean runs?"),
        ("run detct", "run", "did you mean detect?"),
    ],
)  # fmt: skip
def test_the_command_that_was_meant_says_what_it_knows(
    typed: str, usage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        command(typed.split())
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"usage: edgelab {usage}".rstrip())
    assert said in told


def test_an_option_may_be_shortened_and_a_value_may_look_like_one(home: Home) -> None:
    assert command(["runs", "--js"]) == 0
    assert command(["show", "--", "--jsn"]) == 2  # a run that is not there


def test_power_without_a_source_says_what_to_do(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "survey", lambda *_: Discovered())
    assert command(["power"]) == 0
    assert capsys.readouterr().out.startswith("no power source yet: add one in the console")
