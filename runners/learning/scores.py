"""How well images were classified: scikit-learn's measures, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from edgelab.records import ClassificationScores, ClassScore, Interval

RESAMPLES = 1000
BINS = 15
"""Of the calibration error, as Guo et al. 2017 (https://arxiv.org/abs/1706.04599) have them."""

Labels = NDArray[np.int64]


def classification_scores(
    t: float,
    subject: str,
    split: str,
    classes: Sequence[str],
    truth: Labels,
    answers: Labels,
    confidences: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> ClassificationScores:
    """Score answers, (n,), against truth, (n,): class indices, -1 for an answer off the list.

    Macro figures are means over the classes that occur in truth. `confidences`, (n,): how sure
    each answer was, 0 to 1. Intervals: 95 %, percentiles of `RESAMPLES` draws of n images.
    """
    n = len(truth)
    listed = answers >= 0
    matrix = confusion_matrix(truth[listed], answers[listed], labels=range(len(classes)))
    missed = np.bincount(truth[~listed], minlength=len(classes))
    per_class = precision_recall_fscore_support(
        truth, answers, labels=range(len(classes)), zero_division=0.0
    )
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, n, (RESAMPLES, n))

    def over(measure: Callable[[NDArray[np.int64]], float]) -> Interval:
        return interval(measure(np.arange(n)), [measure(draw) for draw in draws])

    counts = np.stack([_counts(truth[draw], answers[draw], len(classes)) for draw in draws])
    whole = _counts(truth, answers, len(classes))
    macro = [
        interval(float(value), list(values))
        for value, values in zip(_macro(whole[None])[0], _macro(counts).T, strict=True)
    ]
    correct = truth == answers
    ece = None
    if confidences is not None:
        ece = over(lambda draw: calibration_error(confidences[draw], correct[draw]))
    return ClassificationScores(
        t=t,
        subject=subject,
        split=split,
        images=n,
        accuracy=over(lambda draw: float(correct[draw].mean())),
        precision=macro[0],
        recall=macro[1],
        f1=macro[2],
        ece=ece,
        classes=tuple(
            ClassScore(name, int(matrix[index].sum() + missed[index]), *_figures(per_class, index))
            for index, name in enumerate(classes)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
        off_list=int((~listed).sum()),
    )


def interval(value: float, resampled: Sequence[float]) -> Interval:
    """A value with the middle 95 % of its resampled ones."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))


def calibration_error(confidences: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, bin by bin.

    Bins are of equal width, and weigh as much as they hold images.
    """
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    sums = np.bincount(bins, confidences - correct, minlength=BINS)
    return float(np.abs(sums).sum() / len(confidences))


def _counts(truth: Labels, answers: Labels, classes: int) -> NDArray[np.int64]:
    """(3, classes): true positives, images of the class, answers of the class."""
    right = truth[truth == answers]
    return np.stack(
        [
            np.bincount(right, minlength=classes),
            np.bincount(truth, minlength=classes),
            np.bincount(answers[answers >= 0], minlength=classes),
        ]
    )


def _macro(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(draws, 3, classes) to (draws, 3): macro precision, recall and F1, as scikit-learn's."""
    hits, true, answered = (counts[:, row].astype(float) for row in range(3))
    occurs = true > 0
    precision = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=occurs)
    f1 = np.divide(2 * hits, true + answered, out=np.zeros_like(hits), where=true + answered > 0)
    number = occurs.sum(axis=1)
    return np.stack(
        [(each * occurs).sum(axis=1) / number for each in (precision, recall, f1)], axis=1
    )


def _figures(per_class: Sequence[NDArray[np.float64]], index: int) -> tuple[float, float, float]:
    precision, recall, f1, _ = per_class
    return float(precision[index]), float(recall[index]), float(f1[index])
