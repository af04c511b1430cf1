"""Power as a program prints it: the user's own command, and the Raspberry Pi 5's PMIC."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgelab.energy.sources import Reading, SourceError, SourceFacts
from edgelab.words import plain

_LONGEST = 1 << 14  # bytes: a program that prints for ever must not fill the memory
_PMIC_BOARDS = ("Raspberry Pi 5", "Raspberry Pi Compute Module 5")
_PMIC_LINE = re.compile(r"(\S+)_([AV])\s+(?:current|volt)\(\d+\)=([0-9.]+)[AV]")
# No maker's figure for the PMIC's converter.
_PMIC_ACCURACY = 0.05


@dataclass
class Command:
    """A program of the user's that prints watts, one number, and ends."""

    facts: SourceFacts
    command: Sequence[str]
    timeout_s: float = 2.0

    def read(self) -> Reading:
        """Watts as printed."""
        printed = output_of(self.command, self.timeout_s).strip()
        try:
            return Reading(watts=float(printed))
        except ValueError:
            shown = plain(printed, 40) or "nothing"
            raise SourceError(f"it prints {shown}, not a number of watts") from None

    def close(self) -> None:
        """Each reading is a process of its own."""


@dataclass
class Pmic:
    """The Raspberry Pi 5's power management chip: the sum over its rails of volts x amperes.

    What is fed past the chip, USB devices and fan first of all, and the loss in its converters are
    not in it: the scope is the rails.
    """

    facts: SourceFacts
    vcgencmd: str = "vcgencmd"
    timeout_s: float = 2.0

    def read(self) -> Reading:
        """Watts now."""
        rails: dict[str, dict[str, float]] = {}
        for rail, unit, value in _PMIC_LINE.findall(
            output_of([self.vcgencmd, "pmic_read_adc"], self.timeout_s)
        ):
            with suppress(ValueError):
                rails.setdefault(rail, {})[unit] = float(value)
        # EXT5V and BATT have a voltage only.
        watts = [pair["V"] * pair["A"] for pair in rails.values() if len(pair) == 2]
        if not watts:
            raise SourceError("vcgencmd shows no rail with volts and amperes")
        return Reading(watts=sum(watts))

    def close(self) -> None:
        """Each reading is a process of its own."""


def find_pmic(root: Path) -> list[Pmic]:
    """The PMIC of a Raspberry Pi 5 or Compute Module 5; the older boards cannot tell their power.

    Raises SourceError where there is none.
    """
    try:
        model = (root / "proc/device-tree/model").read_text(errors="replace")
    except OSError:
        model = ""
    if not model.startswith(_PMIC_BOARDS):
        raise SourceError("not a Raspberry Pi 5")
    vcgencmd = shutil.which("vcgencmd")
    if vcgencmd is None:
        raise SourceError("no vcgencmd: install raspi-utils")
    facts = SourceFacts("pmic", "measured", "rails", _PMIC_ACCURACY, slow=True, detail=vcgencmd)
    return [Pmic(facts, vcgencmd)]


def output_of(command: Sequence[str], timeout_s: float) -> str:
    """What `command` prints; raises SourceError where it fails, hangs or prints without end.

    The whole process group is killed at the deadline: a child that keeps the pipe open must not
    keep us waiting.
    """
    deadline = time.monotonic() + timeout_s
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise SourceError(f"cannot be started ({(error.strerror or '').lower()})") from None
    with process:
        try:
            printed = _read_all(process, deadline)
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except BaseException as error:
            # Nobody has waited for it yet, so that its id is still its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
                raise SourceError(f"no answer within {timeout_s:g} s") from None
            raise
    if status != 0:
        raise SourceError(f"it ends with exit code {status}")
    return printed.decode(errors="replace")


def _read_all(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    printed = b""
    while len(printed) <= _LONGEST:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        block = os.read(descriptor, _LONGEST)
        if not block:
            return printed
        printed += block
    raise SourceError("it prints without end")
