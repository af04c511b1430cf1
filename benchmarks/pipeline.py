"""The detect runner beside a bare `session.run` loop and beside ultralytics' `predict`."""

from __future__ import annotations

import secrets
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from benchmarks.detectors import offline, yolov8n
from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.homes import scratch
from benchmarks.processes import environment_of, run_program
from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.launch import PYTHON_MODULE
from edgelab.machine import usable_cores
from edgelab.presets import QUICK_DATASET, QUICK_MODEL
from edgelab.records import DetectedItem, Event, Header, PassEnded, Record
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from runners.images import read_image
from runners.letterbox import Letterbox
from runners.prepared import Prepared, read_prepared

ROUNDS = 5
ROUNDS_OF_ULTRALYTICS = 2
WARMUP = 5

OVERHEAD_BOUND, OVERHEAD_AT = 5.0, (640, 640)
LATENCY_BOUND = 2.0
MEMORY_BOUND_MB = 110

_BARE, _RUNNER, _ULTRALYTICS = "bare `session.run`", "the runner", "ultralytics `predict`"


@dataclass(frozen=True)
class Pass:
    """One process over all images: ms an image, bytes. `infer_cpu_ms`, `infer_ms`: medians.

    `stages`: mean ms of decode, preprocess, infer, postprocess, and of the rest of the window.
    """

    wall_ms: float
    cpu_ms: float
    peak_memory: int
    infer_cpu_ms: float | None = None
    infer_ms: float | None = None
    stages: tuple[float, ...] = ()
    found: int | None = None

    @property
    def overhead(self) -> float:
        """The share outside decoding and inference, %."""
        decode, _, infer, _, _ = self.stages
        return 100 * (1 - (decode + infer) / self.wall_ms)


class Comparison:
    """One model on one set of images, by all three."""

    def __init__(self, name: str, home: Home, settings: DetectSettings) -> None:
        self.name = name
        self.home = home
        self.settings = settings
        self.folder = prepare_run(home, settings)
        self.prepared = read_prepared(self.folder)
        self.model = Path(self.prepared.model(Precision.FP32).path)
        self.tensors = home.root / f"tensors-{self.folder.id}"
        write_tensors(self.prepared, self.tensors)
        self.images = Path(self.prepared.images[0].path).parent
        self.model_memory = 0
        self.bare: list[Pass] = []
        self.runner: list[Pass] = []
        self.ultralytics: list[Pass] = []

    def measure(self) -> None:
        """All three, in turns."""
        for number in range(ROUNDS):
            self.bare.append(self._bare())
            self.runner.append(self._runner())
            if number < ROUNDS_OF_ULTRALYTICS:
                self.ultralytics.append(self._ultralytics())

    def budgets(self) -> Iterator[Budget]:
        """What the design allows."""
        if self.settings.threads == 1:  # several threads spin while they wait: CPU says nothing
            yield Budget(
                f"runner's inference over a bare loop's, {self.name}", LATENCY_BOUND,
                self.infer_excess, "%", ".1f",
            )  # fmt: skip
        if self.prepared.input_size == OVERHEAD_AT:
            yield Budget(
                f"runner outside decode and infer, {self.name}", OVERHEAD_BOUND, self.overhead,
                "%", ".1f",
            )  # fmt: skip
        yield Budget(
            f"runner's memory beside the model's, {self.name}", MEMORY_BOUND_MB,
            self.memory_beside_the_model, "MB", ".0f",
        )  # fmt: skip

    @property
    def infer_excess(self) -> Spread:
        """By how much the runner's median inference is dearer than the bare loop's, % of CPU."""
        runner, bare = (
            Spread.of(each.infer_cpu_ms or 0 for each in passes)
            for passes in (self.runner, self.bare)
        )
        return Spread.of(100 * (ratio - 1) for ratio in runner.over(bare).values)

    @property
    def overhead(self) -> Spread:
        """The runner's share outside decoding and inference, %."""
        return Spread.of(each.overhead for each in self.runner)

    @property
    def memory_beside_the_model(self) -> Spread:
        """The runner's peak without what the bare loop needs for the model, MB."""
        return Spread.of((each.peak_memory - self.model_memory) / 1e6 for each in self.runner)

    @property
    def agrees(self) -> bool:
        """True where the runner and ultralytics found as many objects in all passes."""
        return len({each.found for each in (*self.runner, *self.ultralytics)}) == 1

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A row a variant; ratios are to the bare loop of the same round."""
        variants = {_BARE: self.bare, _RUNNER: self.runner, _ULTRALYTICS: self.ultralytics}
        bare_cpu = Spread.of(each.cpu_ms for each in self.bare)
        for variant, passes in variants.items():
            wall = Spread.of(each.wall_ms for each in passes)
            cpu = Spread.of(each.cpu_ms for each in passes)
            ratio = cpu.over(Spread(bare_cpu.values[: len(passes)]))
            peak = Spread.of(each.peak_memory / 1e6 for each in passes)
            yield (
                f"{self.name}: {variant}", with_noise(wall, ".2f"), with_noise(cpu, ".2f"),
                with_noise(ratio, ".2f"), f"{peak.median:.0f}",
            )  # fmt: skip

    def stage_row(self) -> tuple[str, ...]:
        """Where the runner's time goes, medians of the rounds' means."""
        stages = zip(*(each.stages for each in self.runner), strict=True)
        means = [f"{Spread.of(stage).median:.3f}" for stage in stages]
        return (self.name, *means, f"{self.overhead:.1f}")

    def _bare(self) -> Pass:
        answer = run_program(
            "bare_loop", self.model, self.tensors, self.settings.threads, WARMUP,
            home=self.home.root,
        )  # fmt: skip
        self.model_memory = answer["model_memory"]
        infer = statistics.median(answer["infer_cpu_ms"])
        return Pass(answer["wall_ms"], answer["cpu_ms"], answer["peak_memory"], infer)

    def _runner(self) -> Pass:
        return runner_pass(self.home, self.folder, Precision.FP32)

    def _ultralytics(self) -> Pass:
        answer = run_program(
            "ultralytics_predict", self.model, self.images, self.prepared.input_size[0],
            self.settings.threads, WARMUP, self.prepared.iou, home=self.home.root,
            **offline(self.home.root),
        )  # fmt: skip
        return Pass(
            answer["wall_ms"], answer["cpu_ms"], answer["peak_memory"], found=answer["found"]
        )


def measure(folder: Path) -> Section:
    """Small and large images with one thread; large ones with all cores."""
    home = scratch(folder, "pipeline")
    model, photos = yolov8n(folder)
    small = DetectSettings(model=QUICK_MODEL, dataset=QUICK_DATASET, threads=1, warmup=WARMUP)
    large = replace(small, model=str(model), dataset=str(photos))
    cores = usable_cores()
    comparisons = [
        Comparison("192 px, 1 thread", home, small),
        Comparison("640 px, 1 thread", home, large),
        Comparison(f"640 px, {cores} threads", home, replace(large, threads=cores)),
    ]
    for comparison in comparisons:
        comparison.measure()
    return _section(comparisons)


def _section(comparisons: Sequence[Comparison]) -> Section:
    agree = all(comparison.agrees for comparison in comparisons)
    section = Section(
        "The detect pipeline",
        "192 px: the shipped detector on the test split of shapes (PNG). 640 px: YOLOv8n with "
        "random weights on the two photos that ultralytics ships (JPEG), ten copies of each. Every "
        f"variant is a process of its own, after {WARMUP} images to warm up; {ROUNDS} rounds in "
        f"turns, of ultralytics {ROUNDS_OF_ULTRALYTICS}; ONNX Runtime opened alike in all, threads "
        "set by force. The bare loop is `session.run` on the runner's tensors and nothing else; "
        "only the calls are counted. The runner is the shipped program with its journals; the two "
        "others write nothing. x bare: CPU time to that of the bare loop in the same round. One "
        "inference is compared by the median of its CPU time, which other processes disturb less "
        "than its latency; what the runner does between two of them leaves the caches cold, which "
        "a small model feels. "
        + (
            "The runner and ultralytics found the same number of objects in every pass."
            if agree
            else "**The runner and ultralytics did not find the same number of objects.**"
        ),
    )
    for comparison in comparisons:
        section.budgets += comparison.budgets()
    titles = ("ms an image", "wall", "CPU", "x bare", "peak MB")
    section.tables += [
        Table(titles, tuple(row for comparison in comparisons for row in comparison.rows())),
        Table(
            ("the runner, ms an image", "decode", "preprocess", "infer", "postprocess", "rest",
             "outside decode and infer, %"),
            tuple(comparison.stage_row() for comparison in comparisons),
            "Means; the rest is the journal, progress and the loop.",
        ),
    ]  # fmt: skip
    return section


def prepare_run(home: Home, settings: DetectSettings) -> RunFolder:
    """A run folder that is ready for its measuring process; raises CalledProcessError."""
    run_id = secrets.token_hex(4)
    folder = RunFolder(home.runs / run_id)
    folder.path.mkdir(parents=True)
    folder.write_spec(RunSpec(SPEC_VERSION, run_id, 1, "benchmark", 0.0, settings))
    subprocess.run(
        [*PYTHON_MODULE, "runners.prepare", str(folder.path)],
        env=environment_of(home.root),
        cwd=home.root,
        check=True,
    )
    folder.events.unlink()
    return folder


def runner_pass(home: Home, prepared: RunFolder, precision: Precision) -> Pass:
    """One pass of the shipped runner, in a copy of a folder that is ready for it."""
    folder = RunFolder(home.runs / secrets.token_hex(4))
    shutil.copytree(prepared.path, folder.path)
    folder.write_spec(replace(prepared.read_spec(), id=folder.id))
    answer = run_program("runner_pass", folder.path, precision.value, home=home.root)
    return _of_journals(folder, answer)


def write_tensors(prepared: Prepared, folder: Path) -> None:
    """The input tensors of all images, as the runner makes them."""
    folder.mkdir()
    letterbox = Letterbox(prepared.input_size)
    for index, image in enumerate(prepared.images):
        tensor, _ = letterbox(read_image(Path(image.path)))
        np.save(folder / f"{index:05}.npy", tensor)


def _of_journals(folder: RunFolder, answer: dict[str, Any]) -> Pass:
    """What the runner wrote down about its pass, and its CPU times from outside."""
    events: JournalReader[Record] = JournalReader(folder.events, Event)
    (ended,) = (event for event in events.poll() if isinstance(event, PassEnded))
    reader: JournalReader[DetectedItem] = JournalReader(folder.items, Header | DetectedItem)
    items = reader.poll()
    times = [item.times for item in items if item.times is not None]
    wall_ms = 1000 * ended.elapsed_s / len(items)
    stages = [
        statistics.fmean(getattr(each, stage) for each in times)
        for stage in ("decode", "preprocess", "infer", "postprocess")
    ]
    return Pass(
        wall_ms=wall_ms,
        cpu_ms=answer["cpu_ms"] / len(items),
        peak_memory=ended.peak_memory_bytes,
        infer_cpu_ms=statistics.median(answer["infer_cpu_ms"]),
        infer_ms=statistics.median(each.infer for each in times),
        stages=(*stages, wall_ms - sum(stages)),
        found=sum(len(item.detections) for item in items),
    )
