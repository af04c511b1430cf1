"""The quantisation doctor: is a converted model still the model that it was made from?

It runs both on images that calibrated neither, and compares counts, scores, speed, size and the
precision that is executed. A conversion whose counts collapse is refused with the reason.
"""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from edgelab.conversion import CountCheck, LatencyCheck, NodeError
from edgelab.executed import ExecutedPrecision
from edgelab.settings.common import Precision
from runners.detections import Detections, NotFinite, Selection
from runners.detector import Detector
from runners.images import ImageProblem, read_image
from runners.model_file import ModelFile, OnnxFile
from runners.node_errors import node_errors
from runners.precision import prove_executed

THRESHOLDS = (0.3, 0.5, 0.7)
LOWEST_SCORE = 0.01

CHANGED_SHARE = 0.25
"""Refused where more of the source's objects than this come or go at a threshold..."""
CHANGED_OBJECTS = 3
"""...and these on top, for a handful of objects says little."""
SCORE_SHARE = 0.5
"""Refused where the highest score falls below this share of the source's."""
TELLING_SCORE = 0.05
"""Of a source whose own scores stay below this, nothing can be said."""

WORST_NODES = 8
NODE_IMAGES = 2
WARM_UP = 2
FEWEST_ROUNDS, MOST_ROUNDS = 3, 7
LATENCY_LIMIT_S = 1.0

Tensor = NDArray[Any]


class Found(NamedTuple):
    """What a model found on an image, None where its outputs are not numbers."""

    source: Detections | None
    outcome: Detections | None


class Runs(Protocol):
    """A model in a session, as far as its speed is concerned."""

    def blank(self) -> Tensor:
        """An input tensor of zeros."""
        ...

    def infer(self, tensor: Tensor) -> Sequence[Tensor]:
        """The outputs of the model."""
        ...


class Timed:
    """A model each of whose inferences is timed; `taken`: ns, the first ones to warm up left out.

    `model` is used for all but inference.
    """

    def __init__(self, model: Runs) -> None:
        self.model = model
        self._taken: list[int] = []

    @property
    def taken(self) -> Sequence[int]:
        """The times so far."""
        return self._taken[WARM_UP:]

    def infer(self, tensor: Tensor) -> Sequence[Tensor]:
        """The outputs of the model."""
        started = perf_counter_ns()
        outputs = self.model.infer(tensor)
        self._taken.append(perf_counter_ns() - started)
        return outputs


@dataclass(frozen=True, kw_only=True)
class Examination(ABC):
    """What the doctor found of any model; see `edgelab.conversion` for the words."""

    executed: ExecutedPrecision
    not_finite: int
    latency: LatencyCheck
    nodes: tuple[NodeError, ...]
    checked: int

    @abstractmethod
    def collapse(self) -> str | None:
        """Why the outcome is another model; None where it is not."""

    @property
    def telling(self) -> bool:
        """False where these images cannot tell a good outcome from a bad one."""
        return self.checked > 0

    @abstractmethod
    def findings(self) -> dict[str, Any]:
        """What the report has of this kind of model, by the names of its fields."""

    def refusal(self, precision: Precision) -> str | None:
        """Why the outcome is not to be used; None where it is good."""
        if self.not_finite:
            return f"gives numbers that are none on {self.not_finite} of {self.checked} images"
        if precision is Precision.INT8 and not self.executed.integer:
            return f"nothing runs in integers: it runs as {self.executed.words}"
        return self.collapse()

    def remarks(self) -> tuple[str, ...]:
        """What a reader must know although it is no reason to refuse."""
        if not self.checked:
            return ("no image to check it on",)
        return ()


@dataclass(frozen=True, kw_only=True)
class DetectorExamination(Examination):
    """Counts at each threshold, and the highest scores."""

    counts: tuple[CountCheck, ...]
    source_score: float
    outcome_score: float

    @property
    def telling(self) -> bool:
        """Whether the source finds anything that could be lost."""
        return any(check.source for check in self.counts)

    def findings(self) -> dict[str, Any]:
        """What the report has of it."""
        return {
            "counts": self.counts,
            "source_score": self.source_score,
            "outcome_score": self.outcome_score,
        }

    def remarks(self) -> tuple[str, ...]:
        """As of any model, and where the source finds nothing."""
        if self.checked and self.source_score < TELLING_SCORE:
            return ("the source finds nothing on these images: counts could not be compared",)
        return super().remarks()

    def collapse(self) -> str | None:
        """Why the outcome is another model; None where it is not."""
        for check in self.counts:
            if check.changed > CHANGED_SHARE * check.source + CHANGED_OBJECTS:
                return (
                    f"counts collapse: at {check.threshold:g} it finds {check.outcome} objects "
                    f"where the source finds {check.source}, {check.changed} changed on "
                    f"{self.checked} images"
                )
        fallen = self.outcome_score < SCORE_SHARE * self.source_score
        if fallen and self.source_score >= TELLING_SCORE:
            return (
                f"scores collapse: the highest is {self.outcome_score:.3f}, "
                f"the source's {self.source_score:.3f}"
            )
        return None


def examine(
    source: ModelFile,
    outcome: Path,
    images: Sequence[Path],
    threads: int,
    on_image: Callable[[int], None],
) -> DetectorExamination:
    """Compare `outcome` with the model it was made from; `on_image` is told of each image.

    Images that cannot be read are left out. Raises Problem where the outcome cannot be run at all.
    """
    selection = Selection(LOWEST_SCORE, source.family.default_iou)
    detectors = [
        Detector(path, source.input_size, selection, threads) for path in (source.path, outcome)
    ]
    timed = [Timed(detector) for detector in detectors]
    found: list[Found] = []
    tensors: list[Tensor] = []
    for number, path in enumerate(images, start=1):
        try:
            image = read_image(path)
        except ImageProblem:
            continue
        found.append(Found(*(_detect(*each, image) for each in zip(detectors, timed, strict=True))))
        if len(tensors) < NODE_IMAGES:
            tensors.append(detectors[0].preprocess(image)[0].copy())
        on_image(number)
    return DetectorExamination(
        **common_findings(source, outcome, timed, tensors),
        counts=tuple(_check(found, threshold) for threshold in THRESHOLDS) if found else (),
        source_score=_highest(each.source for each in found),
        outcome_score=_highest(each.outcome for each in found),
        not_finite=sum(each.outcome is None for each in found),
        checked=len(found),
    )


def common_findings(
    source: OnnxFile, outcome: Path, timed: Sequence[Timed], tensors: Sequence[Tensor]
) -> dict[str, Any]:
    """What is examined alike for models of any task; `timed`: source and outcome, run in turns."""
    return {
        "executed": prove_executed(outcome),
        "latency": _latency(*timed),
        "nodes": tuple(
            islice(node_errors(source.path, outcome, tensors[:NODE_IMAGES]), WORST_NODES)
        ),
    }


def _latency(source: Timed, outcome: Timed) -> LatencyCheck:
    """Of the inferences that were needed anyway, where these were enough."""
    rounds = min(len(source.taken), len(outcome.taken))
    if rounds < FEWEST_ROUNDS:
        return compare_latency(source.model, outcome.model)
    source_ms, outcome_ms = (statistics.median(each.taken) / 1e6 for each in (source, outcome))
    return LatencyCheck(source_ms, outcome_ms, rounds)


def compare_latency(source: Runs, outcome: Runs) -> LatencyCheck:
    """One inference of each in turns, on a blank image: the time does not depend on the pixels."""
    timed = [Timed(model) for model in (source, outcome)]
    blank = [model.blank() for model in (source, outcome)]
    ends = time.monotonic() + LATENCY_LIMIT_S
    for done in range(WARM_UP + MOST_ROUNDS):
        if done >= WARM_UP + FEWEST_ROUNDS and time.monotonic() > ends:
            break
        for each, tensor in zip(timed, blank, strict=True):
            each.infer(tensor)
    return _latency(*timed)


def _detect(detector: Detector, timed: Timed, image: Any) -> Detections | None:
    tensor, fit = detector.preprocess(image)
    try:
        return detector.postprocess(timed.infer(tensor), fit)
    except NotFinite:
        return None


def _highest(found: Any) -> float:
    scores = [float(each.scores.max()) for each in found if each is not None and len(each.scores)]
    return max(scores, default=0.0)


def _check(found: Sequence[Found], threshold: float) -> CountCheck:
    source = outcome = changed = 0
    for each in found:
        before, after = (_counts(side, threshold) for side in each)
        source, outcome = source + before.total(), outcome + after.total()
        changed += ((before - after) + (after - before)).total()
    return CountCheck(threshold, source, outcome, changed)


def _counts(found: Detections | None, threshold: float) -> Counter[int]:
    return Counter() if found is None else found.counts(threshold)
