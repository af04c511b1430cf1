"""Measure a detector in one precision: `python -m runners.detect RUN_FOLDER --precision fp32`.

This process loads numpy, OpenCV and ONNX Runtime only: its peak memory is what a deployment needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter_ns

import cv2

from edgelab.problem import Problem
from edgelab.records import MEASURE, DetectedItem, ModelFacts, PassEnded, PassStarted, StageTimes
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision, Scenario
from edgelab.settings.detect import DetectSettings
from runners.detections import Detections, NotFinite, Selection
from runners.detector import Detector
from runners.memory import peak_memory_bytes
from runners.prepared import Prepared, read_prepared
from runners.scenarios import Query, Ready, make_ready, milliseconds, offline, single_stream
from runners.session import RUNTIME
from runners.step import RunningStep, now, open_step

SCENARIOS = {Scenario.SINGLE_STREAM: single_stream, Scenario.OFFLINE: offline}


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure a detector in one precision.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", type=Precision, choices=DETECTOR_PRECISIONS, required=True)
    parser.add_argument("--turn", type=int, default=0, help="how often it was measured before")
    arguments = parser.parse_args()
    # OpenCV's own threads gain nothing at these sizes and would compete with the model's.
    cv2.setNumThreads(1)
    with open_step(arguments.folder, arguments.precision.value) as step:
        Pass(step, read_prepared(step.folder), arguments.precision, arguments.turn).run()


class Pass:
    """One precision over the whole set, `repetitions` times."""

    def __init__(
        self, step: RunningStep, prepared: Prepared, precision: Precision, turn: int
    ) -> None:
        self.step = step
        self.settings = step.settings(DetectSettings)
        self.prepared = prepared
        self.precision = precision
        self._first_repetition = turn * self.settings.repetitions
        self._done = step.done(precision)
        self._measured = 0
        self._given_ms = 0.0  # decoding and inference: the time that is not the runner's own
        self._first_problem = ""

    def run(self) -> None:
        """Load, warm up, measure; raises Problem where no image gave a result."""
        self._tell_model()
        detector, load_s = self._load()
        warmup = self._warm_up(detector)
        images, repetitions = len(self.prepared.images), self.settings.repetitions
        self.step.phase(MEASURE, images * repetitions)
        started = now()
        self.step.event(PassStarted(started, self.precision, images, repetitions, load_s, warmup))
        with closing(SCENARIOS[self.settings.scenario](self._queries(), detector)) as queue:
            for ready in queue:
                self.step.checkpoint()
                self.step.item(self._measure(detector, ready))
        elapsed_s = now() - started
        if not self._measured and not self._done:
            raise Problem(f"no image gave a result; the first one: {self._first_problem}")
        overhead = self._overhead_share(elapsed_s)
        self.step.event(PassEnded(now(), self.precision, elapsed_s, peak_memory_bytes(), overhead))

    def _tell_model(self) -> None:
        model = self.prepared.model(self.precision)
        self.step.event(
            ModelFacts(
                t=now(),
                precision=self.precision,
                name=model.name,
                sha256=model.sha256,
                size_bytes=model.size_bytes,
                input_size=self.prepared.input_size,
                classes=self.prepared.model_classes,
                iou=self.prepared.iou,
                executed=model.executed,
                runtime=RUNTIME,
                cost=model.cost,
            )
        )

    def _load(self) -> tuple[Detector, float]:
        """The detector, and the seconds until it was there."""
        self.step.phase("load the model", unit="")
        settings, prepared = self.settings, self.prepared
        path = Path(prepared.model(self.precision).path)
        selection = Selection(settings.keep_score, prepared.iou, settings.max_detections)
        started = now()
        detector = Detector(path, prepared.input_size, selection, settings.threads)
        return detector, now() - started

    def _warm_up(self, detector: Detector) -> int:
        """Run real images that nobody records; returns how many."""
        wanted = self.settings.warmup
        self.step.phase("warm up", wanted)
        done = 0
        for image in islice(cycle(self.prepared.images), wanted):
            ready = make_ready(Query(0, image), detector.preprocess)
            if ready.tensor is not None:
                detector.infer(ready.tensor)
                done += 1
            self.step.progress(done)
        return done

    def _queries(self) -> Iterator[Query]:
        first = self._first_repetition
        for repetition in range(first, first + self.settings.repetitions):
            for index, image in enumerate(self.prepared.images):
                if (repetition, index) not in self._done:
                    yield Query(index, image, repetition)

    def _measure(self, detector: Detector, ready: Ready) -> DetectedItem:
        if ready.tensor is None or ready.fit is None:
            return self._failed(ready.query, ready.problem)
        started = perf_counter_ns()
        output = detector.infer(ready.tensor)
        inferred = perf_counter_ns()
        try:
            found = detector.postprocess(output, ready.fit)
        except NotFinite as problem:
            return self._failed(ready.query, str(problem))
        ended = perf_counter_ns()
        times = StageTimes(
            decode=ready.decode_ms,
            preprocess=ready.preprocess_ms,
            infer=milliseconds(started, inferred),
            postprocess=milliseconds(inferred, ended),
        )
        self._measured += 1
        self._given_ms += times.decode + times.infer
        return self._found(ready.query, times, found)

    def _found(self, query: Query, times: StageTimes, found: Detections) -> DetectedItem:
        return DetectedItem(
            t=now(),
            precision=self.precision,
            index=query.index,
            image=query.image.name,
            repetition=query.repetition,
            times=times,
            truth=query.image.truth,
            counts=tuple(self._counted(found.counts(each)) for each in self.settings.thresholds),
            evaluated=query.image.evaluated,
            detections=found.rows(),
        )

    def _failed(self, query: Query, problem: str) -> DetectedItem:
        self._first_problem = self._first_problem or f"{query.image.name}: {problem}"
        return DetectedItem(
            t=now(),
            precision=self.precision,
            index=query.index,
            image=query.image.name,
            repetition=query.repetition,
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

    def _overhead_share(self, elapsed_s: float) -> float | None:
        """The share of the window outside decoding and inference; None where these overlap."""
        if self.settings.scenario is Scenario.OFFLINE or not elapsed_s:
            return None
        return 1 - self._given_ms / 1000 / elapsed_s


if __name__ == "__main__":
    main()
