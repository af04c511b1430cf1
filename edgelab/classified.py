"""Adding up the answers of a classifier: accuracy, macro figures, calibration, their intervals.

Plain Python and one image at a time, so that a live view, a replay and a record are one
computation. All intervals are of 95 % and need no resampling:

- shares (accuracy, top-5): Wilson's score interval.
- macro precision, recall and F1: normal, with the variance by the delta method over the confusion
  matrix as a multinomial sample (Takahashi et al. 2022, https://doi.org/10.1007/s10489-021-02635-5).
- calibration error: normal, with the sign of each bin's gap taken as given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from edgelab.records import ClassificationScores, ClassScore, Interval
from edgelab.statistics import Z95, wilson

BINS = 15
"""Of the calibration error, as Guo et al. 2017 (https://arxiv.org/abs/1706.04599) have them."""

TOP = 5
"""How many answers of an image are kept, the most probable first."""

OFF_LIST = -1
"""The index of an answer that is none of the dataset's classes."""

UNANSWERED = -2
"""The index where there is no answer, or one that says so."""

Answers = Sequence[tuple[int, float]]
"""Class index and probability, the most probable first."""


class ClassifiedTally:
    """The answers of a pass so far."""

    def __init__(self) -> None:
        self.images = 0
        self.right = 0
        self.among_top = 0
        self._confident = False
        self._pairs: Counter[tuple[int, int]] = Counter()  # true class, answered class
        self._gaps = [0.0] * BINS
        self._squares = 0.0

    def add(self, label: int, top: Answers) -> None:
        """Take the answers for one more image of the class `label`."""
        answer, probability = top[0]
        right = answer == label
        self.images += 1
        self.right += right
        self.among_top += any(index == label for index, _ in top[:TOP])
        self._pairs[label, answer] += 1
        self._confident = True
        gap = probability - right
        self._gaps[min(BINS - 1, int(probability * BINS))] += gap
        self._squares += gap * gap

    def add_named(self, label: int, answer: int) -> None:
        """Take one answer in words, which has no probability."""
        self.images += 1
        self.right += answer == label
        self._pairs[label, answer] += 1

    @property
    def accuracy(self) -> float | None:
        """The share of right answers so far."""
        return self.right / self.images if self.images else None

    def scores(
        self, t: float, subject: str, split: str, names: Sequence[str]
    ) -> ClassificationScores:
        """All figures of so many images; raises ValueError of none."""
        classes = Classes(self._pairs, len(names))
        precision, recall, f1 = classes.macro()
        return ClassificationScores(
            t=t,
            subject=subject,
            split=split,
            images=self.images,
            accuracy=wilson(self.right, self.images),
            precision=precision,
            recall=recall,
            f1=f1,
            ece=self._calibration_error() if self._confident else None,
            classes=tuple(classes.row(index, name) for index, name in enumerate(names)),
            confusion=classes.matrix(),
            off_list=classes.answered[OFF_LIST],
            unanswered=classes.answered[UNANSWERED],
            top5=self._top5(len(names)),
        )

    def _top5(self, classes: int) -> Interval | None:
        return wilson(self.among_top, self.images) if self._confident and classes > TOP else None

    def _calibration_error(self) -> Interval:
        """The mean gap between probability and accuracy, bins weighing as much as they hold."""
        n = self.images
        error = sum(map(abs, self._gaps)) / n
        return _normal(error, max(0.0, self._squares / n - error * error) / n)


class Classes:
    """A confusion matrix, and what it says of each class and of all that occur in truth."""

    def __init__(self, pairs: Counter[tuple[int, int]], size: int) -> None:
        self.pairs = pairs
        self.size = size
        self.true: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        for (label, answer), count in pairs.items():
            self.true[label] += count
            self.answered[answer] += count

    def matrix(self) -> tuple[tuple[int, ...], ...]:
        """A row a true class, a column an answered one."""
        places = range(self.size)
        return tuple(tuple(self.pairs[row, column] for column in places) for row in places)

    def row(self, index: int, name: str) -> ClassScore:
        """One class against all others."""
        figures = (self.precision(index), self.recall(index), self.f1(index))
        return ClassScore(name, self.true[index], *figures)

    def precision(self, index: int) -> float:
        """Of the answers, how many are right; 0 without answers."""
        return self._share(index, self.answered[index])

    def recall(self, index: int) -> float:
        """Of the images, how many are found; 0 without images."""
        return self._share(index, self.true[index])

    def f1(self, index: int) -> float:
        """The harmonic mean of both."""
        return 2 * self._share(index, self.true[index] + self.answered[index])

    def macro(self) -> tuple[Interval, Interval, Interval]:
        """Precision, recall and F1: means over the classes that occur in truth."""
        return (
            self._mean(self.precision, self._pulls_precision),
            self._mean(self.recall, self._pulls_recall),
            self._mean(self.f1, self._pulls_f1),
        )

    def _share(self, index: int, of: int) -> float:
        return self.pairs[index, index] / of if of else 0.0

    def _mean(self, figure: Callable[[int], float], pull: Callable[[int, int], float]) -> Interval:
        """`pull`: the derivative of the sum over the classes by the count of a pair.

        The sum does not change when all counts grow alike, so that the derivatives, weighted by the
        counts, add up to 0, and the multinomial variance is what is left: the sum of their squares.
        """
        classes = len(self.true)
        value = math.fsum(figure(index) for index in self.true) / classes
        squares = (n * pull(label, answer) ** 2 for (label, answer), n in self.pairs.items())
        return _normal(value, math.fsum(squares) / classes**2)

    def _pulls_precision(self, label: int, answer: int) -> float:
        if answer not in self.true:
            return 0.0
        return ((label == answer) - self.precision(answer)) / self.answered[answer]

    def _pulls_recall(self, label: int, answer: int) -> float:
        return ((label == answer) - self.recall(label)) / self.true[label]

    def _pulls_f1(self, label: int, answer: int) -> float:
        both = (index for index in (label, answer) if index in self.true)
        return math.fsum(
            ((label == answer) - self.f1(index)) / (self.true[index] + self.answered[index])
            for index in both
        )


def _normal(value: float, variance: float) -> Interval:
    half = Z95 * math.sqrt(variance)
    return Interval(value, max(0.0, value - half), min(1.0, value + half))
