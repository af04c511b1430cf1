"""What the tests of the runners share: models, folders of runs, and programs run for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.records import DetectedItem, Event, Header, Record
from edgelab.run_folder import RunFolder
from edgelab.settings.detect import DetectSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from tests.runners.colour_detector import build_detector

ROOT = Path(__file__).parents[2]


@pytest.fixture
def colour_model(tmp_path: Path) -> Path:
    """The hand-made detector of red, green and blue cells, 64 px."""
    return build_detector(tmp_path / "colours.onnx")


@dataclass(frozen=True)
class RunnerRun:
    """A run folder whose programs are started by the test, as a supervisor would."""

    folder: RunFolder

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """Start one program of the run."""
        return subprocess.Popen(
            [sys.executable, "-m", module, str(self.folder.path), *arguments],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *arguments: str) -> tuple[int, str]:
        """Run one program to its end: exit code and what it said on stderr."""
        process = self.start(module, *arguments)
        _, said = process.communicate(timeout=120)
        return process.returncode, said

    def run_all(self) -> None:
        """Prepare, then one pass a precision; all must end well."""
        assert self.run("runners.prepare") == (0, "")
        for precision in self.folder.read_spec().settings.precisions:
            assert self.run("runners.detect", "--precision", precision.value) == (0, "")

    def events(self, kind: type[Record] = Record) -> list[Record]:
        """The events of that kind."""
        reader: JournalReader[Record] = JournalReader(self.folder.events, Event)
        return [event for event in reader.poll() if isinstance(event, kind)]

    def items(self) -> list[DetectedItem]:
        """All items, with their boxes."""
        reader: JournalReader[DetectedItem] = JournalReader(
            self.folder.items, Header | DetectedItem
        )
        items = reader.poll()
        assert reader.damaged == 0
        return items


NewRun = Callable[..., RunnerRun]


@pytest.fixture
def new_run(home: Home, tmp_path: Path) -> NewRun:
    """Make a run folder from settings."""

    def make(**settings: object) -> RunnerRun:
        folder = RunFolder(home.runs / f"{len(list(home.runs.glob('*'))):08x}")
        folder.path.mkdir(parents=True)
        chosen = {"threads": 1, "warmup": 1, **settings}
        spec = RunSpec(
            version=SPEC_VERSION,
            id=folder.id,
            number=1,
            title="test",
            created=0.0,
            settings=DetectSettings(**chosen),  # type: ignore[arg-type]
        )
        folder.write_spec(spec)
        return RunnerRun(folder)

    return make
