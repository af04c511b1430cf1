"""Adding up the items of a pass: the one place where items become figures.

Live view, replay and the stored record all use it, so they cannot differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.records import Item, StageTimes
from edgelab.statistics import CountErrors, RunningPercentiles

NotNegative = Annotated[float, Meta(ge=0)]


class ClassRow(msgspec.Struct, frozen=True):
    """One sub-dataset (one class over all images of the pass) at one threshold."""

    name: str
    gt_count: int
    pred_count: int
    mae: float
    mse: float


class ThresholdRow(msgspec.Struct, frozen=True):
    """Counts and their errors at one threshold; None where the data has no annotations.

    `threshold` is None for a task whose answers have no scores.
    """

    threshold: float | None
    pred_count: int
    gt_count: int | None = None
    mae_mean: float | None = None
    mse_mean: float | None = None
    classes: tuple[ClassRow, ...] = ()


class LatencyFigures(msgspec.Struct, frozen=True):
    """Milliseconds from decoded image to detections; None: too few samples to tell."""

    samples: int
    mean_ms: NotNegative | None = None
    p50_ms: NotNegative | None = None
    p90_ms: NotNegative | None = None
    p95_ms: NotNegative | None = None
    p99_ms: NotNegative | None = None
    max_ms: NotNegative | None = None


class PassTally:
    """The figures of one pass so far.

    Counts and their errors are those of the first repetition (the later ones repeat it); latencies
    those of all. Images with an error count in `errors` and nowhere else.
    """

    def __init__(self, thresholds: Sequence[float | None], classes: Sequence[str]) -> None:
        self.thresholds = tuple(thresholds)
        self.classes = tuple(classes)
        self.done = 0
        self.images = 0
        self.errors = 0
        self.latency = RunningPercentiles()
        self.infer = RunningPercentiles()
        self._stages = [0.0, 0.0, 0.0, 0.0]
        self._with_truth = 0
        self._predicted = [0] * len(self.thresholds)
        self._by_class: list[defaultdict[int, CountErrors]] = [
            defaultdict(CountErrors) for _ in self.thresholds
        ]

    def add(self, item: Item) -> None:
        """Take one more item."""
        self.done += 1
        if item.error is not None:
            self.errors += item.repetition == 0
            return
        if item.times is not None:
            self._add_times(item.times)
        if item.repetition == 0:
            self._add_counts(item)

    def latency_figures(self) -> LatencyFigures:
        """Latency over all repetitions so far."""
        values = self.latency
        return LatencyFigures(
            samples=len(values),
            mean_ms=values.mean,
            p50_ms=values.at(0.50),
            p90_ms=values.at(0.90),
            p95_ms=values.at(0.95),
            p99_ms=values.at(0.99),
            max_ms=values.largest,
        )

    def stage_means(self) -> StageTimes | None:
        """Mean milliseconds an image spent in each stage."""
        n = len(self.latency)
        return StageTimes(*(total / n for total in self._stages)) if n else None

    def rows(self) -> tuple[ThresholdRow, ...]:
        """One row a threshold, in the order of the spec.

        `mae_mean` and `mse_mean` are means over sub-datasets: each class of the dataset is one,
        over all images that were evaluated.
        """
        return tuple(self._row(position) for position in range(len(self.thresholds)))

    def _add_times(self, times: StageTimes) -> None:
        self.latency.add(times.latency)
        self.infer.add(times.infer)
        parts = (times.decode, times.preprocess, times.infer, times.postprocess)
        self._stages = [total + part for total, part in zip(self._stages, parts, strict=True)]

    def _add_counts(self, item: Item) -> None:
        self.images += 1
        self._with_truth += item.truth is not None
        for position, counts in enumerate(item.counts[: len(self.thresholds)]):
            self._predicted[position] += sum(counts.values())
            if item.truth is None:
                continue
            errors = self._by_class[position]
            for index in counts.keys() | item.truth.keys():
                errors[index].add(item.truth.get(index, 0), counts.get(index, 0))

    def _row(self, position: int) -> ThresholdRow:
        threshold, predicted = self.thresholds[position], self._predicted[position]
        if not self._with_truth:
            return ThresholdRow(threshold, predicted)
        classes = tuple(self._class_rows(position))
        return ThresholdRow(
            threshold=threshold,
            pred_count=sum(row.pred_count for row in classes),
            gt_count=sum(row.gt_count for row in classes),
            mae_mean=_mean([row.mae for row in classes]),
            mse_mean=_mean([row.mse for row in classes]),
            classes=classes,
        )

    def _class_rows(self, position: int) -> list[ClassRow]:
        errors = self._by_class[position]
        indices = range(max(len(self.classes), 1 + max(errors, default=-1)))
        return [self._class_row(index, errors.get(index, CountErrors())) for index in indices]

    def _class_row(self, index: int, errors: CountErrors) -> ClassRow:
        name = self.classes[index] if index < len(self.classes) else f"class {index}"
        n = self._with_truth
        return ClassRow(
            name, errors.truth, errors.predicted, errors.absolute / n, errors.squared / n
        )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def count_error(item: Item, position: int) -> int | None:
    """How far the counts of an image are off at a threshold, summed over its classes.

    `position`: of the threshold in the spec. None without annotations or without a result.
    """
    if item.truth is None or position >= len(item.counts):
        return None
    counts, truth = item.counts[position], item.truth
    return sum(abs(counts.get(key, 0) - truth.get(key, 0)) for key in counts.keys() | truth.keys())
