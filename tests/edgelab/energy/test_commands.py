from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgelab.energy.commands import Command, find_pmic, output_of
from edgelab.energy.sources import SourceError, SourceFacts
from tests.edgelab.energy import boards

FACTS = SourceFacts("watts", "measured", "board input", 0.05, slow=True)

PMIC = """\
     3V7_WL_SW_A current(0)=0.10000000A
       3V3_SYS_A current(1)=0.05000000A
      VDD_CORE_A current(7)=2.00000000A
     3V7_WL_SW_V volt(8)=3.70000000V
       3V3_SYS_V volt(9)=3.30000000V
      VDD_CORE_V volt(15)=0.80000000V
        EXT5V_V volt(24)=5.12000000V
         BATT_V volt(25)=0.00000000V
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def command(code: str, timeout_s: float = 20.0) -> Command:
    return Command(FACTS, python(code), timeout_s)


def test_a_command_prints_watts() -> None:
    assert command("print(' 4.25 ')").read().watts == 4.25


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('4.2 W')", r"it prints 4\.2 W, not a number of watts"),
        ("print('\\x1b[31mred')", r"it prints ·\[31mred, not"),
        ("pass", "it prints nothing, not a number"),
        ("import sys; sys.exit(3)", "it ends with exit code 3"),
        ("import os; os.abort()", "it ends with exit code -6"),
        ("while True: print('4.2')", "it prints without end"),
    ],
)
def test_a_command_that_fails_says_how(code: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        command(code).read()


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        # Ends at once, and leaves a child that keeps the pipe open.
        "import os, time\nif os.fork() == 0: time.sleep(60)",
        # Closes the pipe, and stays.
        "import os, time; os.close(1); time.sleep(60)",
    ],
)
def test_a_command_that_hangs_is_ended_at_the_deadline(code: str) -> None:
    with pytest.raises(SourceError, match=r"no answer within 0\.3 s"):
        command(code, timeout_s=0.3).read()


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"cannot be started \(no such file"):
        Command(FACTS, ["/no/such/program"]).read()


def test_what_a_command_says_on_stderr_is_not_repeated() -> None:
    code = "import sys; print('token=hunter2', file=sys.stderr); sys.exit(1)"
    with pytest.raises(SourceError) as caught:
        command(code).read()
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def pi5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Raspberry Pi 5 whose vcgencmd prints the file that is returned."""
    boards.tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    shown = tmp_path / "shown"
    shown.write_text(PMIC)
    program = tmp_path / "bin" / "vcgencmd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && exec cat "{shown}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return shown


def test_the_pmic_adds_up_its_rails(tmp_path: Path, pi5: Path) -> None:
    (source,) = find_pmic(tmp_path)
    assert source.read().watts == pytest.approx(0.1 * 3.7 + 0.05 * 3.3 + 2.0 * 0.8)
    assert (source.facts.method, source.facts.scope) == ("measured", "rails")
    assert source.facts.slow
    pi5.write_text('error=1 error_msg="Command not registered"\n')
    with pytest.raises(SourceError, match="no rail"):
        source.read()


def test_only_a_raspberry_pi_5_has_a_pmic_that_tells(tmp_path: Path, pi5: Path) -> None:
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi 4 Model B Rev 1.5\0")
    with pytest.raises(SourceError, match="not a Raspberry Pi 5"):
        find_pmic(tmp_path)
    (tmp_path / "proc/device-tree/model").unlink()
    with pytest.raises(SourceError, match="not a Raspberry Pi 5"):
        find_pmic(tmp_path)


def test_a_raspberry_pi_5_without_its_tool_says_what_to_install(
    tmp_path: Path, pi5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="install raspi-utils"):
        find_pmic(tmp_path)


def test_the_output_is_all_of_it() -> None:
    assert output_of(python("print('x' * 9999)"), 20.0) == "x" * 9999 + "\n"
