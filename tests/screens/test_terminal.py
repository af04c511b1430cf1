"""The console as a process on a real (pseudo) terminal: what is sent down the line."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edgelab.home import Home
from tests.screens.recorded_run import RecordedRun

Recorder = Callable[..., RecordedRun]

PROGRAM = """
from edgelab.home import Home
from edgelab.lab import Lab
from screens.app import run_console
import sys
run_console(Lab(Home.default()), "--ascii" in sys.argv, "--low-bandwidth" in sys.argv, False)
"""
PATIENCE_S = 20.0
_NOT_INHERITED = ("COLORTERM", "NO_COLOR", "COLUMNS", "LINES")


class Terminal:
    """A terminal of 120x40 with a console in it."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        inherited = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**inherited, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(slave)
        self.received = b""

    def wait_for(self, pattern: bytes) -> re.Match[bytes]:
        """Read until the pattern was received."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self.received)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come, but {self.received[-2000:]!r}"
            if select.select([self._master], [], [], left)[0]:
                self.received += self._read_or_explain()
        return found

    def _read_or_explain(self) -> bytes:
        """What the console sent; one that died says why in its last words."""
        try:
            return os.read(self._master, 65536)
        except OSError:
            words = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", self.received[-6000:]).decode()
            pytest.fail(f"the console ended: {words}")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def hang_up(self) -> None:
        """What the kernel does when the line is lost."""
        os.killpg(self.process.pid, signal.SIGHUP)

    def end(self) -> int:
        """Wait for the console to end; its status."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.received += os.read(self._master, 65536)
                except OSError:
                    break
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(home: Home) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(*arguments: str, **environment: str) -> Terminal:
        opened.append(Terminal(arguments, environment))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@contextmanager
def nothing_lost(run: RecordedRun) -> Iterator[None]:
    """The run goes on and nobody asked it to stop."""
    yield
    run.measure(run.settings.precisions[0], 20, 30)
    assert not run.folder.stop_request.exists()


def under_way(record: Recorder) -> RecordedRun:
    run = record(1).queue().begin()
    precision = run.settings.precisions[0]
    return run.start_pass(precision).measure(precision, 0, 20)


def test_a_lost_line_ends_the_console_and_not_the_run(
    terminal: Callable[..., Terminal], record: Recorder
) -> None:
    run = under_way(record)
    with nothing_lost(run):
        first = terminal()
        first.wait_for(b"20 of 240 images")
        first.hang_up()
        assert first.end() == -signal.SIGHUP
    second = terminal()
    second.wait_for(b"30 of 240 images")


def test_q_leaves_and_gives_the_terminal_back(
    terminal: Callable[..., Terminal], record: Recorder
) -> None:
    record(1).complete()
    console = terminal()
    console.wait_for(b"0.30")
    console.type("q")
    assert console.end() == 0
    assert b"\x1b[?1049l" in console.received, "the screen that was there before is back"
    assert b"\x1b[?25h" in console.received, "so is its cursor"


def test_ascii_means_every_byte(terminal: Callable[..., Terminal], record: Recorder) -> None:
    record(1).complete()
    console = terminal("--ascii")
    console.wait_for(b"0.30")
    for keys, seen in (("a", b"Runs"), ("\r", b"Histogram"), ("3", b"Items"), ("?", b"Keys")):
        console.type(keys)
        console.wait_for(seen)
    assert console.received.isascii()


def test_copying_goes_over_the_line(terminal: Callable[..., Terminal], record: Recorder) -> None:
    record(1).complete()
    console = terminal()
    console.wait_for(b"0.30")
    console.type("3y")
    copied = console.wait_for(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07")[1]
    assert base64.b64decode(copied).startswith(b"1\tyolov8n-shapes\tfp32\t")


TRUE_COLOUR = re.compile(rb"\x1b\[[0-9;]*[34]8;2;")
ANY_COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|4[0-7]|9[0-7]|[34]8;[25];)[0-9;]*m")


def test_the_terminals_own_colours_are_used(
    terminal: Callable[..., Terminal], record: Recorder
) -> None:
    record(1).complete()
    console = terminal(COLORTERM="truecolor")
    console.wait_for(b"0.30")
    assert not TRUE_COLOUR.search(console.received)
    assert ANY_COLOUR.search(console.received)


def test_no_colour_where_none_is_wanted(
    terminal: Callable[..., Terminal], record: Recorder
) -> None:
    record(1).complete()
    console = terminal(NO_COLOR="1")
    console.wait_for(b"0.30")
    assert not ANY_COLOUR.search(console.received)
