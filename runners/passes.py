"""A pass: one precision of a model over all images, `repetitions` times, timed stage by stage.

What is measured, and what an item says of an image, is each task's own.
"""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Generic, Protocol, TypeVar

import cv2
from numpy.typing import NDArray

from edgelab.problem import Problem
from edgelab.records import MEASURE, Item, ModelFacts, PassEnded, PassStarted, StageTimes
from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision, Scenario
from runners.detections import NotFinite
from runners.memory import peak_memory_bytes
from runners.prepared import Prepared, read_prepared
from runners.scenarios import (
    Query,
    Readies,
    Ready,
    make_ready,
    milliseconds,
    offline,
    single_stream,
)
from runners.session import RUNTIME
from runners.step import RunningStep, now, open_step

SCENARIOS = {Scenario.SINGLE_STREAM: single_stream, Scenario.OFFLINE: offline}

Outputs = Sequence[NDArray[Any]]


class Model(Readies, Protocol):
    """A model in a session."""

    def infer(self, tensor: NDArray[Any]) -> Outputs:
        """The outputs for one input tensor."""
        ...


M = TypeVar("M", bound=Model)
A = TypeVar("A")


class Pass(ABC, Generic[M, A]):
    """Runs models of the type M, whose answers are of the type A."""

    def __init__(
        self,
        step: RunningStep,
        settings: MeasureSettings,
        prepared: Prepared,
        precision: Precision,
        turn: int,
    ) -> None:
        self.step = step
        self.prepared = prepared
        self.precision = precision
        self._settings = settings
        self._first_repetition = turn * settings.repetitions
        self._done = step.done(precision)
        self._measured = 0
        self._given_ms = 0.0  # decoding and inference: the time that is not the runner's own
        self._first_problem = ""

    @abstractmethod
    def load(self, path: Path) -> M:
        """Open the model file; raises Problem."""

    @abstractmethod
    def read(self, model: M, outputs: Outputs, ready: Ready) -> A:
        """What the outputs say of the image; raises NotFinite. It is timed as post-processing."""

    @abstractmethod
    def found(self, query: Query, answer: A, times: StageTimes) -> Item:
        """The item of an image with an answer."""

    @abstractmethod
    def failed(self, query: Query, problem: str) -> Item:
        """The item of an image without one."""

    def place(self, query: Query) -> dict[str, Any]:
        """What every item begins with, by the names of its fields."""
        return {
            "t": now(),
            "precision": self.precision,
            "index": query.index,
            "image": query.image.name,
            "repetition": query.repetition,
        }

    def run(self) -> None:
        """Load, warm up, measure; raises Problem where no image gave a result."""
        self._tell_model()
        model, load_s = self._load()
        warmup = self._warm_up(model)
        images, repetitions = len(self.prepared.images), self._settings.repetitions
        self.step.phase(MEASURE, images * repetitions)
        started = now()
        self.step.event(PassStarted(started, self.precision, images, repetitions, load_s, warmup))
        with closing(SCENARIOS[self._settings.scenario](self._queries(), model)) as queue:
            for ready in queue:
                self.step.checkpoint()
                self.step.item(self._measure(model, ready))
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

    def _load(self) -> tuple[M, float]:
        """The model, and the seconds until it was there."""
        self.step.phase("load the model", unit="")
        path = Path(self.prepared.model(self.precision).path)
        started = now()
        model = self.load(path)
        return model, now() - started

    def _warm_up(self, model: M) -> int:
        """Run real images that nobody records; returns how many."""
        wanted = self._settings.warmup
        self.step.phase("warm up", wanted)
        done = 0
        for image in islice(cycle(self.prepared.images), wanted):
            ready = make_ready(Query(0, image), model.preprocess)
            if ready.tensor is not None:
                model.infer(ready.tensor)
                done += 1
            self.step.progress(done)
        return done

    def _queries(self) -> Iterator[Query]:
        first = self._first_repetition
        for repetition in range(first, first + self._settings.repetitions):
            for index, image in enumerate(self.prepared.images):
                if (repetition, index) not in self._done:
                    yield Query(index, image, repetition)

    def _measure(self, model: M, ready: Ready) -> Item:
        if ready.tensor is None:
            return self._failed(ready.query, ready.problem)
        started = perf_counter_ns()
        outputs = model.infer(ready.tensor)
        inferred = perf_counter_ns()
        try:
            answer = self.read(model, outputs, ready)
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
        return self.found(ready.query, answer, times)

    def _failed(self, query: Query, problem: str) -> Item:
        self._first_problem = self._first_problem or f"{query.image.name}: {problem}"
        return self.failed(query, problem)

    def _overhead_share(self, elapsed_s: float) -> float | None:
        """The share of the window outside decoding and inference; None where these overlap."""
        if self._settings.scenario is Scenario.OFFLINE or not elapsed_s:
            return None
        return 1 - self._given_ms / 1000 / elapsed_s


class OpensPass(Protocol):
    """Makes a pass of a step's own settings."""

    def __call__(
        self, step: RunningStep, prepared: Prepared, precision: Precision, turn: int
    ) -> Pass[Any, Any]:
        """The pass, ready to run."""
        ...


def measure(open_pass: OpensPass, what: str) -> None:
    """The main of a measuring program: `RUN_FOLDER --precision fp32`."""
    parser = argparse.ArgumentParser(description=f"Measure {what} in one precision.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", type=Precision, choices=DETECTOR_PRECISIONS, required=True)
    parser.add_argument("--turn", type=int, default=0, help="how often it was measured before")
    arguments = parser.parse_args()
    # OpenCV's own threads gain nothing at these sizes and would compete with the model's.
    cv2.setNumThreads(1)
    with open_step(arguments.folder, arguments.precision.value) as step:
        open_pass(step, read_prepared(step.folder), arguments.precision, arguments.turn).run()
