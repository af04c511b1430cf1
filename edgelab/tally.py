"""Adding up the items of a pass: the one place where items become figures.

Live view, replay and the stored record all use it, so they cannot differ.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.asked import AskTally
from edgelab.classified import OFF_LIST, UNANSWERED, ClassifiedTally
from edgelab.records import AskedItem, ClassifiedItem, Item, StageTimes
from edgelab.statistics import TRUE_COUNT_BINS, CountErrors, RunningPercentiles

NotNegative = Annotated[float, Meta(ge=0)]


class TrueCountBin(msgspec.Struct, frozen=True):
    """How far counts are off where the true count lies between `first` and `last` (None: no end).

    `bias`: mean of counted minus true.
    """

    first: int
    last: int | None
    images: int
    mae: float
    bias: float


class ClassRow(msgspec.Struct, frozen=True):
    """One sub-dataset (one class over the images that count for it) at one threshold.

    None: no image of it gave a count. `bias`: mean of counted minus true. `exact`: the share of
    images counted without an error. `unanswered`: images whose answer held no count.
    """

    name: str
    gt_count: int
    pred_count: int
    mae: float | None
    mse: float | None
    images: int | None = None
    rmse: float | None = None
    bias: float | None = None
    exact: float | None = None
    unanswered: int = 0
    by_true_count: tuple[TrueCountBin, ...] = ()


class ThresholdRow(msgspec.Struct, frozen=True):
    """Counts and their errors at one threshold; None where the data has no annotations.

    `threshold` is None for a task whose answers have no scores. What ends in `_mean` is a mean
    over the sub-datasets that have images. `by_true_count` takes all sub-datasets together.
    """

    threshold: float | None
    pred_count: int
    gt_count: int | None = None
    mae_mean: float | None = None
    mse_mean: float | None = None
    rmse_mean: float | None = None
    bias_mean: float | None = None
    exact_mean: float | None = None
    by_true_count: tuple[TrueCountBin, ...] = ()
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
    those of all. Items with an error count in `errors` and nowhere else; items whose answer held no
    count are in `unanswered` and in the latencies.
    """

    def __init__(self, thresholds: Sequence[float | None], classes: Sequence[str]) -> None:
        self.thresholds = tuple(thresholds)
        self.classes = tuple(classes)
        self.done = 0
        self.seen = 0  # images, of all repetitions
        self.images = 0  # those of the first repetition that gave a result
        self._image = ""  # the newest
        self.errors = 0
        self.unanswered = 0
        self.classified: ClassifiedTally | None = None
        self.latency = RunningPercentiles()
        self.infer = RunningPercentiles()
        self._stages = [0.0, 0.0, 0.0, 0.0]
        self.asked: AskTally | None = None
        self._in_words = False
        self._with_truth = False
        self._predicted = [0] * len(self.thresholds)
        # Images by class that count for it. Those that count for every class stand under None,
        # and only classes that are on such an image, or were found there, are looked at.
        self._counted: Counter[int | None] = Counter()
        self._unanswered: Counter[int | None] = Counter()
        self._by_class: list[defaultdict[int, CountErrors]] = [
            defaultdict(CountErrors) for _ in self.thresholds
        ]

    def add(self, item: Item) -> None:
        """Take one more item."""
        self.done += 1
        # Questions on one image follow each other.
        new_image = not isinstance(item, AskedItem) or item.image != self._image
        self._image = item.image
        self.seen += new_image
        if item.error is not None:
            self.errors += item.repetition == 0
            return
        if item.times is not None:
            self._add_times(item.times)
        if isinstance(item, AskedItem):
            self.asked = self.asked or AskTally()
            self.asked.add(item)
        if item.repetition:
            return
        self.images += new_image
        if isinstance(item, ClassifiedItem):
            self._add_answers(item)
        elif isinstance(item, AskedItem) and item.evaluated is None:
            self._add_words(item)
        else:
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
        """One row a threshold, in the order of the spec; none where nothing was counted."""
        if self.classified is not None or self._in_words:
            return ()
        return tuple(self._row(position) for position in range(len(self.thresholds)))

    def _add_times(self, times: StageTimes) -> None:
        self.latency.add(times.latency)
        self.infer.add(times.infer)
        parts = (times.decode, times.preprocess, times.infer, times.postprocess)
        self._stages = [total + part for total, part in zip(self._stages, parts, strict=True)]

    def _add_answers(self, item: ClassifiedItem) -> None:
        if self.classified is None:
            self.classified = ClassifiedTally()
        if item.label is not None:
            self.classified.add(item.label, item.top)

    def _add_words(self, item: AskedItem) -> None:
        """An answer that names a class, or any other that is no count."""
        self._in_words = True
        if item.true_label is not None:
            self.classified = self.classified or ClassifiedTally()
            none = UNANSWERED if item.verdict == "unanswered" else OFF_LIST
            self.classified.add_named(item.true_label, none if item.label is None else item.label)

    def _add_counts(self, item: Item) -> None:
        self._with_truth |= item.truth is not None
        classes = (None,) if item.evaluated is None else item.evaluated
        if item.unanswered is not None:
            self.unanswered += 1
            self._unanswered.update(classes)
            return
        for position, counts in enumerate(item.counts[: len(self.thresholds)]):
            self._predicted[position] += item.total(counts)
        if item.truth is not None and len(item.counts) >= len(self.thresholds):
            self._counted.update(classes)
            self._add_errors(item, item.truth)

    def _add_errors(self, item: Item, truth: dict[int, int]) -> None:
        for errors, counts in zip(self._by_class, item.counts, strict=False):
            found = counts.keys() | truth.keys()
            for index in found if item.evaluated is None else item.evaluated:
                errors[index].add(truth.get(index, 0), counts.get(index, 0))

    def _row(self, position: int) -> ThresholdRow:
        threshold = self.thresholds[position]
        if not self._with_truth:
            return ThresholdRow(threshold, self._predicted[position])
        errors = self._errors_by_class(position)
        classes = tuple(self._class_row(index, each) for index, each in enumerate(errors))
        return ThresholdRow(
            threshold=threshold,
            pred_count=sum(row.pred_count for row in classes),
            gt_count=sum(row.gt_count for row in classes),
            mae_mean=_mean([row.mae for row in classes]),
            mse_mean=_mean([row.mse for row in classes]),
            rmse_mean=_mean([row.rmse for row in classes]),
            bias_mean=_mean([row.bias for row in classes]),
            exact_mean=_mean([row.exact for row in classes]),
            by_true_count=_by_true_count(errors),
            classes=classes,
        )

    def _errors_by_class(self, position: int) -> list[CountErrors]:
        """The sums of every class, with its images that held none and where none was found."""
        known = self._by_class[position]
        size = max(len(self.classes), 1 + max(known, default=-1))
        return [self._completed(index, known[index]) for index in range(size)]

    def _completed(self, index: int, errors: CountErrors) -> CountErrors:
        errors.add(0, 0, self._counted[None] + self._counted[index] - errors.images)
        return errors

    def _class_row(self, index: int, errors: CountErrors) -> ClassRow:
        name = self.classes[index] if index < len(self.classes) else f"class {index}"
        n = errors.images
        mse = errors.squared / n if n else None
        return ClassRow(
            name=name,
            gt_count=errors.truth,
            pred_count=errors.predicted,
            mae=errors.absolute / n if n else None,
            mse=mse,
            images=n,
            rmse=None if mse is None else math.sqrt(mse),
            bias=(errors.predicted - errors.truth) / n if n else None,
            exact=errors.exact / n if n else None,
            unanswered=self._unanswered[None] + self._unanswered[index],
            by_true_count=_by_true_count([errors]),
        )


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _by_true_count(errors: Iterable[CountErrors]) -> tuple[TrueCountBin, ...]:
    """The bins that hold images, of all these sub-datasets together."""
    bins = []
    for (first, last), *same in zip(TRUE_COUNT_BINS, *(each.bins for each in errors), strict=True):
        images = sum(each.images for each in same)
        if images:
            mae = sum(each.absolute for each in same) / images
            bias = sum(each.signed for each in same) / images
            bins.append(TrueCountBin(first, last, images, mae, bias))
    return tuple(bins)


def count_error(item: Item, position: int) -> int | None:
    """How far the counts of an image are off at a threshold, summed over its classes.

    `position`: of the threshold in the spec. None without annotations or without a count.
    """
    errors = item.count_errors(position)
    return None if errors is None else sum(map(abs, errors.values()))
