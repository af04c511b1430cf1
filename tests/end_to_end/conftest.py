"""A lab used from outside: the real command line, the real supervisor, real runners."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgelab.durable import try_locked
from edgelab.home import Home
from edgelab.launch import child_environment
from edgelab.reader import LiveRun
from edgelab.records import Outcome
from tests.runners.colour_detector import build_detector, write_coloured_cells

IMAGES = 12
PATIENCE_S = 180.0


@dataclass(frozen=True)
class CommandLine:
    """`edgelab ...` in a process of its own."""

    home: Home

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "edgelab", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=child_environment(EDGELAB_HOME=str(self.home.root), OMP_NUM_THREADS="1"),
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, f"{out}\n{err}"
        return out if code == 0 else out + err

    def json(self, *arguments: str, code: int = 0) -> Any:
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, err
        return json.loads(out)

    def live(self, run_id: str) -> LiveRun:
        from edgelab.run_folder import RunFolder

        return LiveRun(RunFolder(self.home.runs / run_id))


@pytest.fixture
def edgelab(home: Home) -> Iterator[CommandLine]:
    yield CommandLine(home)
    end_supervisor(home)


@pytest.fixture
def colours(tmp_path: Path) -> tuple[str, str]:
    """A model that finds coloured cells without fail, and a COCO file of such images."""
    model = build_detector(tmp_path / "colours.onnx")
    file = write_coloured_cells(tmp_path, IMAGES, most=5)
    return str(model), str(file)


@pytest.fixture
def detect(colours: tuple[str, str], tmp_path: Path) -> tuple[str, ...]:
    """The arguments of a run that ends within seconds."""
    model, dataset = colours
    return (
        "run", "detect", "--model", model, "--dataset", dataset, "--threads", "1",
        "--images", str(tmp_path / "images"),
    )  # fmt: skip


@pytest.fixture
def endless(detect: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of a run that somebody has to end."""
    return (*detect, "--repetitions", "1000000", "--detach")


def board_without_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Another lab; from now on, whoever imports torch fails."""
    blocked = folder / "blocked"
    for name in ("torch", "torchvision", "transformers", "ultralytics"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise RuntimeError('no torch on this board')")
    monkeypatch.setenv("PYTHONPATH", str(blocked))
    return CommandLine(Home(folder / "board"))


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait for other processes to make it true; fails when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("patience ended")


def measuring(live: LiveRun, items: int = 1) -> Callable[[], LiveRun | None]:
    """Ready once the run has measured so many items."""

    def check() -> LiveRun | None:
        live.advance()
        return live if live.projection.done >= items else None

    return check


def over(live: LiveRun) -> Callable[[], Outcome | None]:
    """Ready once the run's record is written; says how it ended."""

    def check() -> Outcome | None:
        if not live.folder.record.exists():
            return None
        live.advance()
        return live.projection.outcome

    return check


def supervisor_pid(live: LiveRun) -> int:
    live.advance()
    assert live.projection.started is not None
    return live.projection.started.supervisor_pid


def end_supervisor(home: Home) -> None:
    """Leave no process of this lab behind."""
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            ours = f"EDGELAB_HOME={home.root}".encode() in entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if ours and int(entry.parent.name) != os.getpid():
            os.kill(int(entry.parent.name), signal.SIGKILL)
    if not home.root.exists():
        return

    def released() -> bool:
        with try_locked(home.supervisor_lock) as free:
            return free

    eventually(released)
