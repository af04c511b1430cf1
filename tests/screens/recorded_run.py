"""Runs written down as supervisor and runner write them: real files, figures from a seed."""

from __future__ import annotations

import fcntl
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.outcome import close_run
from edgelab.queue import enqueue
from edgelab.records import (
    AskedItem,
    BoardFacts,
    CoolingZone,
    DatasetFacts,
    DetectedItem,
    Ended,
    ExecutedPrecision,
    FrequencyPolicy,
    ModelFacts,
    Outcome,
    PassEnded,
    PassStarted,
    Phase,
    PowerReading,
    PowerSource,
    Record,
    Sample,
    StageTimes,
    Started,
    StepEnded,
    StepStarted,
    Warning,  # noqa: A004
)
from edgelab.run_folder import RunFolder
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from edgelab.settings.detect import DetectSettings
from edgelab.spec import SPEC_VERSION, RunSpec

WALL = 1_780_000_000.0  # 2026-05-28 20:26:40 UTC
CLASSES = ("circle", "triangle", "square", "pentagon", "star")
ENVIRONMENT = {
    "edgelab": "0.1.0",
    "board": "Orange Pi 3B",
    "cpu": "Cortex-A55",
    "cores": "4",
    "kernel": "6.6.0",
    "governor": "performance",
    "boot_id": "b007",
}
_MS = {Precision.FP32: 8.4, Precision.FP16: 9.1, Precision.INT8: 4.7}


_SLOWED_ABOVE = 55.0


@dataclass
class RecordedRun:
    """A run in the making: call the parts in order, each writes what the real one would."""

    home: Home
    number: int = 1
    settings: DetectSettings = field(
        default_factory=lambda: DetectSettings(
            model="yolov8n-shapes", dataset="shapes", precisions=DETECTOR_PRECISIONS, threads=4
        )
    )
    images: int = 80
    title: str = "quick benchmark"
    image_name: str = "{:06d}.png"
    classes: tuple[str, ...] = CLASSES
    full_precision_only: bool = False  # whatever was asked for
    questions: int | None = None  # that are asked about the images
    t: float = 1000.0
    spec: RunSpec | None = None  # of a run that was queued otherwise

    def __post_init__(self) -> None:
        self.id = self.spec.id if self.spec else f"{0xA0000000 + self.number:08x}"
        self.folder = RunFolder(self.home.runs / self.id)
        self.random = random.Random(self.number)
        self.start = self.t
        self._next_sample = self.t
        self._writers: dict[Path, JournalWriter] = {}
        self._lock: TextIO | None = None

    def queue(self) -> RecordedRun:
        """As `Lab.submit` does, without a supervisor."""
        if self.spec is not None:
            return self
        self.folder.path.mkdir(parents=True)
        spec = RunSpec(
            SPEC_VERSION, self.id, self.number, self.title, WALL + 3600 * self.number, self.settings
        )
        self.folder.write_spec(spec)
        enqueue(self.home, self.number, self.id)
        return self

    def begin(self) -> RecordedRun:
        """Supervisor starts, data and models are prepared."""
        self._live()
        self._write(
            self.folder.telemetry,
            BoardFacts(
                self.t,
                zones=(CoolingZone("soc-thermal", {"passive": 85.0}),),
                policies=(FrequencyPolicy("policy0", "ondemand", "0 1 2 3", 1800.0),),
            ),
            PowerSource(self.t, "ina226", "measured", "board input", 0.01),
        )
        self._write(
            self.folder.life,
            Started(self.t, WALL + 3600 * self.number, "b007", 4242, ENVIRONMENT),
            StepStarted(self.t, "prepare", 4243),
        )
        self._write(
            self.folder.events,
            Phase(self.t, "prepare", "draw images", self.images),
            DatasetFacts(
                self.t,
                "shapes",
                "test",
                self.images,
                self.classes,
                True,
                "5ha" * 21 + "5",
                340,
                self.questions,
            ),
            *(self._model(precision) for precision in self.settings.precisions),
        )
        self._pass_time(1.0)
        self._write(self.folder.life, StepEnded(self.t, "prepare", Outcome.FINISHED, exit_code=0))
        return self

    def start_pass(self, precision: Precision) -> RecordedRun:
        """Its process starts and has warmed up."""
        self._write(self.folder.life, StepStarted(self.t, precision.value, 4300))
        self._pass_time(0.4)
        self._write(
            self.folder.events,
            Phase(self.t, precision.value, "measure", self.images),
            PassStarted(self.t, precision, self.images, self.settings.repetitions, 0.31, 5),
        )
        return self

    def measure(self, precision: Precision, first: int, last: int) -> RecordedRun:
        """Images `first` to `last` - 1."""
        self._write(self.folder.items, *self._items(precision, first, last))
        return self

    def end_pass(
        self, precision: Precision, outcome: Outcome = Outcome.FINISHED, reason: str = ""
    ) -> RecordedRun:
        """Its process ends."""
        elapsed = self.images * _MS[precision] / 1000
        if outcome is Outcome.FINISHED:
            self._write(
                self.folder.events, PassEnded(self.t, precision, elapsed, 141_300_000, 0.021)
            )
        self._write(self.folder.life, StepEnded(self.t, precision.value, outcome, reason))
        return self

    def wait(self, seconds: float) -> RecordedRun:
        """Nothing happens but time."""
        self._pass_time(seconds)
        return self

    def tell(self, *events: Record) -> RecordedRun:
        """Whatever a runner tells."""
        self._write(self.folder.events, *events)
        return self

    def answer(self, item: AskedItem) -> RecordedRun:
        """One item that the test has made."""
        self._write(self.folder.items, item)
        return self

    def warn(self, text: str) -> RecordedRun:
        """The runner has something to say."""
        self._write(self.folder.events, Warning(self.t, text))
        return self

    def end(self, outcome: Outcome = Outcome.FINISHED, reason: str = "") -> RecordedRun:
        """The supervisor closes the run."""
        self._write(
            self.folder.life,
            Ended(self.t, WALL + 3600 * self.number + 60, outcome, reason, self.t - self.start),
        )
        self.close()
        close_run(self.home, self.folder)
        return self

    def complete(self) -> RecordedRun:
        """All of it, from the queue to the end."""
        self.queue().begin()
        for precision in self.settings.precisions:
            self.start_pass(precision).measure(precision, 0, self.images).end_pass(precision)
        return self.end()

    def close(self) -> None:
        """Let go of a run that is left in mid-way, as a supervisor that dies does."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _live(self) -> None:
        """Hold the supervisor's lock, unless another run of the test holds it already."""
        self.home.root.mkdir(parents=True, exist_ok=True)
        lock = self.home.supervisor_lock.open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            self._lock = lock

    def _model(self, precision: Precision) -> ModelFacts:
        executed = {
            Precision.FP32: ExecutedPrecision(0, 0, 60),
            Precision.FP16: ExecutedPrecision(0, 58, 2, casts=4),
            Precision.INT8: ExecutedPrecision(52, 0, 8, quantize=12),
        }
        runs_as = Precision.FP32 if self.full_precision_only else precision
        size = {Precision.FP32: 3_600_000, Precision.FP16: 1_820_000, Precision.INT8: 1_010_000}
        return ModelFacts(
            t=self.t,
            precision=precision,
            name=self.settings.model,
            sha256=precision.value * 16,
            size_bytes=size[precision],
            input_size=(192, 192),
            classes=self.classes,
            iou=0.7,
            executed=executed[runs_as],
            runtime="onnxruntime 1.23 CPU",
        )

    def _items(self, precision: Precision, first: int, last: int) -> Iterator[Record]:
        for index in range(first, last):
            truth = {k: self.random.randint(1, 3) for k in self.random.sample(range(5), 3)}
            infer = _MS[precision] * self.random.uniform(0.93, 1.1) * (3 if index == 33 else 1)
            self._pass_time(infer / 1000 + 0.002)
            if index == 17:
                yield DetectedItem(
                    self.t, precision, index, self.image_name.format(index),
                    error="the file ends in the middle of the image",
                )  # fmt: skip
                continue
            counts = tuple(
                self._found(truth, place) for place in range(len(self.settings.thresholds))
            )
            yield DetectedItem(
                self.t, precision, index, self.image_name.format(index),
                times=StageTimes(0.62, 0.31, infer, 0.18), truth=truth, counts=counts,
                detections=((1.0, 2.0, 30.0, 40.0, 0.91, 0),),
            )  # fmt: skip

    def _found(self, truth: dict[int, int], place: int) -> dict[int, int]:
        found = dict(truth)
        if self.random.random() < 0.12:
            found[0] = max(0, found.get(0, 0) + (1 if place == 0 else -1))
        return found

    def _pass_time(self, seconds: float) -> None:
        self.t += seconds
        while self._next_sample <= self.t:
            wave = self.random.uniform(-6, 6)
            heat = min(68.0, 46.0 + 3 * (self._next_sample - self.start))
            self._write(
                self.folder.telemetry,
                Sample(
                    t=self._next_sample,
                    cpu=tuple(min(100.0, core + wave) for core in (91.0, 88.5, 93.2, 90.1)),
                    frequency_mhz=(1800.0,),
                    temperatures={"soc-thermal": heat, "gpu-thermal": heat - 4},
                    cooling={"thermal-cpufreq-0": 1} if heat > _SLOWED_ABOVE else {},
                    memory_used=1_420_000_000,
                    memory_total=3_900_000_000,
                    swap_used=0,
                    runner_cpu=361.0 + wave,
                    runner_memory=139_000_000,
                    supervisor_cpu=0.4,
                ),
            )
            watts = 3.6 + wave / 20
            self._write(
                self.folder.telemetry, PowerReading(self._next_sample, "ina226", watts=watts)
            )
            self._next_sample += 1.0

    def _write(self, path: Path, *records: Record) -> None:
        writer = self._writers.get(path)
        if writer is None:
            writer = self._writers[path] = JournalWriter(path)
        for record in records:
            writer.append(record)
