"""How well was answered: figures with 95 % bootstrap intervals over the questions.

Precision, recall and F1 are scikit-learn's, macro-averaged over the classes that occur as truth or
as answer. An answer that names no class is wrong: it lowers recall and accuracy, and is in no
column of the confusion matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from edgelab.records import (
    AnswerScores,
    ClassificationScores,
    ClassScore,
    Interval,
)
from runners.finetuning.relaxed import Match

RESAMPLES = 1000

Floats = NDArray[np.float64]


def classification_scores(
    subject: str,
    classes: Sequence[str],
    truth: Sequence[int],
    answered: Sequence[int | None],
    unanswered: int,
    t: float,
    split: str = "test",
) -> ClassificationScores:
    """The scores of answers, each a class by index or None; `unanswered` of the None are so."""
    count = len(classes)
    none = count  # one more column, for what names no class
    true = np.array(truth, np.int64)
    said = np.array([none if each is None else each for each in answered], np.int64)
    matrix = confusion_matrix(true, said, labels=range(count + 1))[:count]
    precision, recall, f1, support = precision_recall_fscore_support(
        true, said, labels=range(count), zero_division=0
    )
    intervals = _intervals(np.array([macro_scores(matrix)]), _resampled(true, said, count))
    return ClassificationScores(
        t=t,
        subject=subject,
        split=split,
        images=len(true),
        accuracy=intervals[0],
        precision=intervals[1],
        recall=intervals[2],
        f1=intervals[3],
        ece=None,
        classes=tuple(
            ClassScore(name, int(n), float(p), float(r), float(f))
            for name, n, p, r, f in zip(classes, support, precision, recall, f1, strict=True)
        ),
        confusion=tuple(tuple(int(n) for n in row[:count]) for row in matrix),
        off_list=int(matrix[:, none].sum()) - unanswered,
        unanswered=unanswered,
    )


def macro_scores(matrix: NDArray[Any]) -> tuple[float, float, float, float]:
    """Accuracy and macro precision, recall, F1 of a (n, n + 1) confusion matrix, the last column of
    which holds answers that name no class."""
    hits = np.diag(matrix[:, :-1]).astype(float)
    support, found = matrix.sum(axis=1), matrix[:, :-1].sum(axis=0)
    occurs = (support + found) > 0
    precision = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    f1 = np.divide(2 * hits, support + found, out=np.zeros_like(hits), where=occurs)
    accuracy = float(hits.sum() / support.sum())
    macro = [float(each[occurs].mean()) for each in (precision, recall, f1)]
    return accuracy, macro[0], macro[1], macro[2]


def answer_scores(
    subject: str,
    matches: Sequence[Match],
    kinds: Sequence[str],
    unanswered: int,
    t: float,
    split: str = "test",
) -> AnswerScores:
    """The shares of answers that are right, in three senses, and the relaxed one by kind."""
    right = np.array([(m.exact, m.relaxed, m.contains) for m in matches], float)
    chosen = _draws(len(matches))
    exact, relaxed, contains = _intervals(right.mean(axis=0)[None], right[chosen].mean(axis=1))
    by_kind = {
        kind: float(right[[each == kind for each in kinds], 1].mean())
        for kind in sorted(set(kinds) - {""})
    }
    return AnswerScores(
        t, subject, split, len(matches), exact, relaxed, contains, unanswered, by_kind
    )


def _resampled(true: NDArray[Any], said: NDArray[Any], count: int) -> Floats:
    """(resamples, 4): the macro scores of questions drawn with replacement."""
    cells = true * (count + 1) + said
    size = count * (count + 1)
    drawn = (np.bincount(cells[each], minlength=size) for each in _draws(len(cells)))
    return np.array([macro_scores(each.reshape(count, count + 1)) for each in drawn])


def _draws(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count))


def _intervals(values: Floats, resampled: Floats) -> list[Interval]:
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    return [
        Interval(float(v), float(a), float(b)) for v, a, b in zip(values[0], low, high, strict=True)
    ]
