"""What was learned, in tables a person reads: epochs, scores, classes; command line and facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgelab import words
from edgelab.record import RunRecord, TrainingSummary
from edgelab.records import ClassificationScores, Interval, SplitFacts
from edgelab.scored import FIGURES, ScoredRow

EPOCH_TITLES = ("epoch", "train loss", "held-out loss", "held-out", "rate", "best")
SCORE_TITLES = (
    *("by", "split", "images", "accuracy", "top-5", "precision", "recall", "F1", "ECE", "off-list"),
    "no answer",
)
ANSWER_TITLES = ("by", "split", "questions", "exact", "relaxed", "contains", "no answer", "by kind")
CLASS_TITLES = ("class", "images", "precision", "recall", "F1", "taken for")


def epoch_rows(training: TrainingSummary) -> list[list[str]]:
    """A row an epoch; the held-out figure is the metric that the best is chosen by."""
    metric = training.started.metric
    return [
        [
            str(epoch.epoch),
            words.number(epoch.train_loss),
            words.number(epoch.val_loss),
            f"{metric} {words.number(epoch.metrics.get(metric))}",
            f"{epoch.learning_rate:.2g}",
            "best" if epoch.best else "",
        ]
        for epoch in training.epochs
    ]


def score_rows(record: RunRecord) -> list[list[str]]:
    """A row a subject: shares with their 95 % intervals."""
    return [
        [
            words.plain(each.subject, 40),
            words.plain(each.split, 20),
            str(each.images),
            *map(interval_words, (each.accuracy, each.top5)),
            *map(interval_words, (each.precision, each.recall, each.f1, each.ece)),
            str(each.off_list),
            str(each.unanswered),
        ]
        for each in record.scores
    ]


def answer_rows(record: RunRecord) -> list[list[str]]:
    """A row a subject that answered questions: shares, and the relaxed one by kind of question."""
    return [
        [
            words.plain(each.subject, 40),
            words.plain(each.split, 20),
            str(each.questions),
            *(interval_words(value) for value in (each.exact, each.relaxed, each.contains)),
            str(each.unanswered),
            ", ".join(
                f"{words.plain(kind, 30)} {words.number(share)}"
                for kind, share in sorted(each.by_kind.items())
            ),
        ]
        for each in record.answer_scores
    ]


def scored_table(rows: Sequence[ScoredRow]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of several runs' scores; figures that no row has are left out."""
    figures = [name for name in FIGURES if any(name in row.figures for row in rows)]
    titles = ["model", "base", "training", "prompt", "vision tower", "asked", "off-list"]
    cells = [
        [
            Path(row.run.spec.settings.model).name,
            row.precision or words.UNKNOWN,
            *(row.variant.get(name, "") for name in ("training", "prompt")),
            row.variant.get("vision_tower_trained", ""),
            str(row.asked),
            words.whole(row.off_list),
            str(row.scores.unanswered),
            *(interval_words(row.figures.get(name)) for name in figures),
        ]
        for row in rows
    ]
    return [*titles, "no answer", *(name.replace("_", " ") for name in figures)], cells


def class_rows(scores: ClassificationScores) -> list[list[str]]:
    """A row a class, with what it is most often mistaken for."""
    return [
        [
            words.plain(each.name, 30),
            str(each.images),
            *(words.number(value) for value in (each.precision, each.recall, each.f1)),
            _mistaken(scores, index),
        ]
        for index, each in enumerate(scores.classes)
    ]


def interval_words(value: Interval | None) -> str:
    """0.912 (0.889-0.934)."""
    if value is None:
        return words.UNKNOWN
    return f"{value.value:.3f} ({value.low:.3f}-{value.high:.3f})"


def balance_words(split: SplitFacts, classes: tuple[str, ...]) -> str:
    """300 images: 30 bar, 28 pie ... the largest class first."""
    counted = sorted(zip(split.by_class, classes, strict=False), key=lambda pair: -pair[0])
    parts = ", ".join(f"{count} {words.plain(name, 30)}" for count, name in counted)
    return f"{sum(split.by_class)} images: {parts}"


def ended_words(training: TrainingSummary) -> str:
    """Where the training stands: how far, how fast, why it ended."""
    started = training.started
    rate = words.number(training.examples_per_s, 1)
    return (
        f"{len(training.epochs)} of {started.epochs} epochs, {training.steps} steps, {rate} img/s "
        f"on {started.device} in {started.number_format}"
        + (f"; {training.why_ended}" if training.why_ended else "")
    )


def _mistaken(scores: ClassificationScores, index: int) -> str:
    row = scores.confusion[index] if index < len(scores.confusion) else ()
    wrong = [(count, other) for other, count in enumerate(row) if other != index and count]
    if not wrong:
        return ""
    count, other = max(wrong)
    return f"{words.plain(scores.classes[other].name, 30)} {count}x"
