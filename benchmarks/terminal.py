"""A program in a pseudo-terminal: what it sends is counted and searched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_ESCAPES = re.compile(rb"\x1b(\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07]*\x07)")
# A modern terminal says yes to synchronised output, so that frames carry its brackets.
_ASKS_FOR_SYNCHRONISED_OUTPUT = b"\x1b[?2026$p"
_SYNCHRONISED_OUTPUT_IS_KNOWN = b"\x1b[?2026;2$y"
_PATIENCE_S = 60.0


class Terminal:
    """A terminal of 24-bit colour with one program in it, from its start to the end of the block.

    Nobody draws what the program sends: only its bytes matter.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        size: tuple[int, int] = (120, 40),
    ) -> None:
        columns, rows = size
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        look = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.received = bytearray()
        self._received_at = 0.0
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, start_new_session=True,
            env={**environment, **look},
        )  # fmt: skip
        os.close(slave)
        self.pid = self._process.pid

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End the program, however it fares."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """Everything received, without the escape sequences."""
        return _ESCAPES.sub(b"", bytes(self.received)).decode(errors="replace")

    def wait_for(self, *words: str) -> float:
        """Read until all words were sent; seconds from the start of the program to the last byte.

        Raises TimeoutError where they do not come within a minute.
        """
        deadline = time.perf_counter() + _PATIENCE_S
        while not all(word in self.text for word in words):
            if time.perf_counter() > deadline or self._process.poll() is not None:
                raise TimeoutError(f"no {' '.join(words)!r} in: {self.text[-1500:]}")
            self._read(0.5)
        return self._received_at - self.started

    def listen(self, seconds: float) -> int:
        """Take what comes in that time; returns how many bytes."""
        before, deadline = len(self.received), time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self._read(left)
        return len(self.received) - before

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._master], [], [], max(0.0, seconds))
        if not ready:
            return
        data = b""
        with contextlib.suppress(OSError):  # the program has closed its side
            data = os.read(self._master, 1 << 16)
        self._received_at = time.perf_counter()
        self.received += data
        if _ASKS_FOR_SYNCHRONISED_OUTPUT in data:
            os.write(self._master, _SYNCHRONISED_OUTPUT_IS_KNOWN)
