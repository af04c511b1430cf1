"""How images come to the model: the scenarios of MLPerf Inference that this lab knows.

Single-stream readies an image when the one before it is done: latency, nothing overlaps. Offline
readies images ahead of inference, in threads: throughput.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter_ns
from typing import Any, Protocol

from numpy.typing import NDArray

from runners.images import ImageProblem, Pixels, read_image
from runners.letterbox import Fit
from runners.prepared import PreparedImage

READY_AHEAD = 4
"""Images that wait, readied, for inference: bounds the memory of the offline scenario."""

READERS = 2
"""Threads that ready images in the offline scenario."""


class Preprocessor(Protocol):
    """Turns an image into an input tensor, which is valid until the next call."""

    def __call__(self, image: Pixels) -> tuple[NDArray[Any], Fit | None]:
        """The tensor, (1, 3, height, width), and how the image lies in it, where that matters."""
        ...


class Readies(Protocol):
    """A model, as far as it readies its own images."""

    @property
    def preprocess(self) -> Preprocessor:
        """For the thread that infers."""
        ...

    def make_preprocessor(self) -> Preprocessor:
        """One more, for a thread of its own."""
        ...


@dataclass(frozen=True)
class Query:
    """One image to run, once. `index` is its place in the dataset."""

    index: int
    image: PreparedImage
    repetition: int = 0


@dataclass(frozen=True)
class Ready:
    """An image in memory, ready for inference; or the problem that left nothing to infer."""

    query: Query
    tensor: NDArray[Any] | None = None
    fit: Fit | None = None
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    problem: str = ""


def single_stream(queries: Iterable[Query], model: Readies) -> Generator[Ready]:
    """Ready each image when it is asked for."""
    for query in queries:
        yield make_ready(query, model.preprocess)


def offline(queries: Iterable[Query], model: Readies) -> Generator[Ready]:
    """Ready up to `READY_AHEAD` images before they are asked for; they come in order.

    An image's tensor is valid until the next one is asked for.
    """
    remaining = iter(queries)
    idle: SimpleQueue[Preprocessor] = SimpleQueue()
    waiting: deque[Future[tuple[Ready, Preprocessor]]] = deque()

    def take(query: Query) -> tuple[Ready, Preprocessor]:
        preprocess = idle.get()
        return make_ready(query, preprocess), preprocess

    def submit(count: int) -> None:
        waiting.extend(readers.submit(take, query) for query in islice(remaining, count))

    with ThreadPoolExecutor(READERS, "reader") as readers:
        for _ in range(READY_AHEAD):
            idle.put(model.make_preprocessor())
        try:
            submit(READY_AHEAD)
            while waiting:
                ready, preprocess = waiting.popleft().result()
                yield ready
                idle.put(preprocess)
                submit(1)
        finally:
            for future in waiting:
                future.cancel()


def make_ready(query: Query, preprocess: Preprocessor) -> Ready:
    """Read, decode and preprocess one image; what is wrong with it becomes its problem."""
    if query.image.problem is not None:
        return Ready(query, problem=query.image.problem)
    started = perf_counter_ns()
    try:
        pixels = read_image(Path(query.image.path))
    except ImageProblem as problem:
        return Ready(query, problem=str(problem))
    decoded = perf_counter_ns()
    tensor, fit = preprocess(pixels)
    ended = perf_counter_ns()
    return Ready(query, tensor, fit, milliseconds(started, decoded), milliseconds(decoded, ended))


def milliseconds(start: int, end: int) -> float:
    """The time between two readings of perf_counter_ns."""
    return (end - start) / 1e6
