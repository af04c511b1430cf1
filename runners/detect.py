"""Measure a detector in one precision: `python -m runners.detect RUN_FOLDER --precision fp32`.

Single-stream (in MLPerf's sense) takes one image after the other: read and decode, preprocess,
infer, postprocess, write the record. Offline readies images ahead of inference, for throughput.
This process loads numpy, OpenCV and ONNX Runtime only: its peak memory is what a deployment needs.
"""

from __future__ import annotations

import argparse
import itertools
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter_ns
from typing import Any

import cv2
from numpy.typing import NDArray

from edgelab.problem import Problem
from edgelab.records import DetectedItem, ModelFacts, PassEnded, PassStarted, StageTimes
from edgelab.spec import Precision, Scenario
from runners.detections import Detections, NotFinite, Selection
from runners.detector import Detector
from runners.images import ImageProblem, read_image
from runners.letterbox import Fit, Letterbox
from runners.memory import peak_memory_bytes
from runners.prepared import Prepared, PreparedImage, read_prepared
from runners.session import RUNTIME
from runners.step import RunningStep, now, open_step

READY_AHEAD = 4
"""Images that wait, decoded, for inference in the offline scenario: bounds its memory."""

READERS = 2
"""Threads that decode ahead in the offline scenario."""


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure a detector in one precision.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", type=Precision, choices=list(Precision), required=True)
    arguments = parser.parse_args()
    # OpenCV's own threads gain nothing at these sizes and would compete with the model's.
    cv2.setNumThreads(1)
    with open_step(arguments.folder, arguments.precision.value) as step:
        Pass(step, read_prepared(step.folder), arguments.precision).run()


@dataclass(frozen=True)
class Ready:
    """An image in memory, ready for inference, or the problem that left nothing to infer."""

    index: int
    image: PreparedImage
    repetition: int
    tensor: NDArray[Any] | None = None
    fit: Fit | None = None
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    problem: str | None = None


class Pass:
    """One precision over the whole set, `repetitions` times."""

    def __init__(self, step: RunningStep, prepared: Prepared, precision: Precision) -> None:
        self.step = step
        self.settings = step.spec.settings
        self.prepared = prepared
        self.precision = precision
        self.model = prepared.model(precision)
        self.measured_ms = 0.0
        """Decoding and inference of all items so far: what is not the runner's own doing."""
        self.measured = 0
        self.first_problem = ""

    def run(self) -> None:
        """Load, warm up, measure; raises Problem where no image gave a result."""
        detector, load_s = self._load()
        warmup = self._warm_up(detector)
        images, repetitions = len(self.prepared.images), self.settings.repetitions
        self.step.phase("measure", images * repetitions)
        started = now()
        self.step.event(PassStarted(started, self.precision, images, repetitions, load_s, warmup))
        with closing(self._ready_images(detector)) as ready_images:
            for ready in ready_images:
                self.step.checkpoint()
                self.step.item(self._measure(detector, ready))
        elapsed_s = now() - started
        if not self.measured:
            raise Problem(f"no image gave a result; the first one: {self.first_problem}")
        self.step.event(
            PassEnded(
                now(), self.precision, elapsed_s, peak_memory_bytes(), self._overhead(elapsed_s)
            )
        )

    def _load(self) -> tuple[Detector, float]:
        executed = self.model.executed
        if executed is None:
            raise Problem(
                f"{self.step.folder.path}: the prepared {self.precision} model lacks facts"
            )
        self.step.event(
            ModelFacts(
                t=now(),
                precision=self.precision,
                name=self.model.name,
                sha256=self.model.sha256,
                size_bytes=self.model.size_bytes,
                input_size=self.prepared.input_size,
                classes=self.prepared.model_classes,
                iou=self.prepared.iou,
                executed=executed,
                runtime=RUNTIME,
            )
        )
        self.step.phase("load the model", unit="")
        settings = self.settings
        selection = Selection(settings.keep_score, self.prepared.iou, settings.max_detections)
        started = now()
        detector = Detector(
            Path(self.model.path), self.prepared.input_size, selection, settings.threads
        )
        return detector, now() - started

    def _warm_up(self, detector: Detector) -> int:
        """Run real images that nobody records; returns how many."""
        wanted = self.settings.warmup
        self.step.phase("warm up", wanted)
        done = 0
        for image in _cycled(self.prepared.images, wanted):
            ready = _make_ready(0, image, 0, detector.letterbox)
            if ready.tensor is not None:
                detector.infer(ready.tensor)
                done += 1
            self.step.progress(done)
        return done

    def _ready_images(self, detector: Detector) -> Generator[Ready]:
        work = (
            (index, image, repetition)
            for repetition in range(self.settings.repetitions)
            for index, image in enumerate(self.prepared.images)
        )
        if self.settings.scenario is Scenario.OFFLINE:
            yield from _readied_ahead(work, detector)
        else:
            for index, image, repetition in work:
                yield _make_ready(index, image, repetition, detector.letterbox)

    def _measure(self, detector: Detector, ready: Ready) -> DetectedItem:
        if ready.tensor is None or ready.fit is None:
            return self._failed(ready, ready.problem or "")
        started = perf_counter_ns()
        output = detector.infer(ready.tensor)
        inferred = perf_counter_ns()
        try:
            found = detector.postprocess(output, ready.fit)
        except NotFinite as problem:
            return self._failed(ready, str(problem))
        ended = perf_counter_ns()
        times = StageTimes(
            ready.decode_ms,
            ready.preprocess_ms,
            _ms(inferred - started),
            _ms(ended - inferred),
        )
        self.measured_ms += times.decode + times.infer
        self.measured += 1
        return self._item(ready, times, found)

    def _item(self, ready: Ready, times: StageTimes, found: Detections) -> DetectedItem:
        return DetectedItem(
            t=now(),
            precision=self.precision,
            index=ready.index,
            image=ready.image.name,
            repetition=ready.repetition,
            times=times,
            truth=ready.image.truth,
            counts=tuple(self._counted(found.counts(each)) for each in self.settings.thresholds),
            detections=found.rows(),
        )

    def _failed(self, ready: Ready, problem: str) -> DetectedItem:
        self.first_problem = self.first_problem or f"{ready.image.name}: {problem}"
        return DetectedItem(
            t=now(),
            precision=self.precision,
            index=ready.index,
            image=ready.image.name,
            repetition=ready.repetition,
            error=problem,
        )

    def _counted(self, found: Mapping[int, int]) -> dict[int, int]:
        """From counts by class of the model to those by counted class; the others are left out."""
        to_counted = self.prepared.to_counted
        counts: dict[int, int] = {}
        for model_class, count in found.items():
            counted = to_counted[model_class] if model_class < len(to_counted) else None
            if counted is not None:
                counts[counted] = counts.get(counted, 0) + count
        return counts

    def _overhead(self, elapsed_s: float) -> float | None:
        """The share of the window outside decoding and inference; None where these overlap."""
        if self.settings.scenario is Scenario.OFFLINE or not elapsed_s:
            return None
        return 1 - self.measured_ms / 1000 / elapsed_s


def _readied_ahead(
    work: Iterator[tuple[int, PreparedImage, int]], detector: Detector
) -> Iterator[Ready]:
    """Decode and preprocess in threads, up to `READY_AHEAD` images ahead, in order."""
    letterboxes: SimpleQueue[Letterbox] = SimpleQueue()
    waiting: deque[Future[tuple[Ready, Letterbox]]] = deque()

    def make_ready(index: int, image: PreparedImage, repetition: int) -> tuple[Ready, Letterbox]:
        letterbox = letterboxes.get()
        return _make_ready(index, image, repetition, letterbox), letterbox

    with ThreadPoolExecutor(READERS, "reader") as readers:
        for _ in range(READY_AHEAD):
            letterboxes.put(detector.make_letterbox())
        try:
            waiting.extend(readers.submit(make_ready, *each) for each in _first(work, READY_AHEAD))
            while waiting:
                ready, letterbox = waiting.popleft().result()
                yield ready
                # The consumer is done with the tensor: its buffers serve another image.
                letterboxes.put(letterbox)
                waiting.extend(readers.submit(make_ready, *each) for each in _first(work, 1))
        finally:
            for future in waiting:
                future.cancel()
            for _ in range(READERS):
                letterboxes.put(detector.letterbox)


def _make_ready(index: int, image: PreparedImage, repetition: int, letterbox: Letterbox) -> Ready:
    if image.problem is not None:
        return Ready(index, image, repetition, problem=image.problem)
    started = perf_counter_ns()
    try:
        pixels = read_image(Path(image.path))
    except ImageProblem as problem:
        return Ready(index, image, repetition, problem=str(problem))
    decoded = perf_counter_ns()
    tensor, fit = letterbox(pixels)
    ended = perf_counter_ns()
    return Ready(
        index, image, repetition, tensor, fit, _ms(decoded - started), _ms(ended - decoded)
    )


def _cycled(images: Sequence[PreparedImage], count: int) -> Iterator[PreparedImage]:
    return itertools.islice(itertools.cycle(images), count)


def _first(work: Iterator[Any], count: int) -> Iterator[Any]:
    return itertools.islice(work, count)


def _ms(nanoseconds: int) -> float:
    return nanoseconds / 1e6


if __name__ == "__main__":
    main()
