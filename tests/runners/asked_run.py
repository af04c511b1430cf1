"""An asking run in this process: prepared and measured by the real programs' own functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun
from edgelab.records import AskedItem, Event, MeasuredLine, Record
from edgelab.run_folder import RunFolder
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.spec import SPEC_VERSION, RunSpec
from runners.ask import Pass
from runners.asking.prepare import prepare
from runners.asking.prepared import read_questions
from runners.step import RunningStep


@dataclass(frozen=True)
class AskedRun:
    """One run, from its settings to its items; nothing but torch is left out of a real one."""

    home: Home
    folder: RunFolder

    @staticmethod
    def new(home: Home, run: str = "00000001", **settings: Any) -> AskedRun:
        folder = RunFolder(home.runs / run)
        folder.path.mkdir(parents=True)
        chosen = AskSettings(**{"threads": 1, "max_new_tokens": 6, "warmup": 1, **settings})
        folder.write_spec(RunSpec(SPEC_VERSION, folder.id, 1, "asked", 1.7e9, chosen))
        return AskedRun(home, folder)

    def prepare(self) -> None:
        step = RunningStep(self.folder, "prepare")
        try:
            prepare(step, self.home)
        finally:
            step.close()

    def measure(self, precision: Precision = Precision.FP32) -> None:
        step = RunningStep(self.folder, precision.value)
        try:
            Pass(step, read_questions(self.folder), precision, 0).run()
        finally:
            step.close()

    def run(self) -> None:
        self.prepare()
        for precision in self.projection().spec.settings.passes:
            self.measure(precision)

    def items(self) -> list[AskedItem]:
        reader: JournalReader[AskedItem] = JournalReader(self.folder.items, MeasuredLine)
        return reader.poll()

    def events(self, kind: type[Record]) -> list[Any]:
        reader: JournalReader[Record] = JournalReader(self.folder.events, Event)
        return [each for each in reader.poll() if isinstance(each, kind)]

    def projection(self) -> RunProjection:
        live = LiveRun(self.folder)
        live.advance()
        return live.projection
