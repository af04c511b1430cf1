"""What a training attained, as rows: a row an asking or measuring of its test data.

A pass that measures has its scores in its own row (`edgelab.results`); these are of runs without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from edgelab.record import RunRecord
from edgelab.records import AnswerScores, ClassificationScores, Interval
from edgelab.settings.finetune import FinetuneSettings
from edgelab.steps import FINE_TUNED

_CLASSES = {
    "accuracy": "accuracy",
    "macro_precision": "precision",
    "macro_recall": "recall",
    "macro_f1": "f1",
    "calibration_error": "ece",
}
_ANSWERS = {"exact": "exact", "relaxed": "relaxed", "contains": "contains"}

FIGURES = (*_CLASSES, *_ANSWERS)
"""Shares with intervals, as the lab's tables call them."""


class ScoredRow(NamedTuple):
    """One run, and what one subject of it attained."""

    run: RunRecord
    scores: ClassificationScores | AnswerScores

    @property
    def asked(self) -> int:
        """Images that were classified, or questions that were asked."""
        scores = self.scores
        return scores.questions if isinstance(scores, AnswerScores) else scores.images

    @property
    def off_list(self) -> int | None:
        """Answers that name no class; None where none is asked for."""
        return None if isinstance(self.scores, AnswerScores) else self.scores.off_list

    @property
    def figures(self) -> dict[str, Interval]:
        """Those that are known, by name."""
        names = _ANSWERS if isinstance(self.scores, AnswerScores) else _CLASSES
        read = {figure: getattr(self.scores, name) for figure, name in names.items()}
        return {figure: interval for figure, interval in read.items() if interval is not None}

    @property
    def by_kind(self) -> Mapping[str, float]:
        """The relaxed share of each kind of question."""
        return self.scores.by_kind if isinstance(self.scores, AnswerScores) else {}

    @property
    def precision(self) -> str | None:
        """The number format of a fine-tuned model's weights."""
        settings = self.run.spec.settings
        return settings.precision.value if isinstance(settings, FinetuneSettings) else None

    @property
    def variant(self) -> Mapping[str, str]:
        """What tells it from the other rows of the run and of its study."""
        settings = self.run.spec.settings
        if not isinstance(settings, FinetuneSettings):
            return {"training": self.scores.subject}
        training, _, prompt = self.scores.subject.partition(" ")
        variant = {"training": training, "prompt": prompt}
        if training == FINE_TUNED:
            variant["vision_tower_trained"] = "yes" if settings.trains_vision else "no"
        return variant

    @property
    def share(self) -> Interval:
        """The one figure that stands for all: accuracy, or relaxed accuracy of questions."""
        return self.figures["relaxed" if isinstance(self.scores, AnswerScores) else "accuracy"]

    @property
    def is_of_learned_prompt(self) -> bool:
        """True where it was asked by the prompt that the run learns."""
        settings = self.run.spec.settings
        return isinstance(settings, FinetuneSettings) and (
            self.variant.get("prompt") == settings.prompt
        )

    @property
    def document(self) -> dict[str, object]:
        """For scripts."""
        shares = {name: msgspec.structs.asdict(each) for name, each in self.figures.items()}
        return {
            "run": self.run.spec.id,
            "model": self.run.spec.settings.model,
            **self.variant,
            "asked": self.asked,
            "off_list": self.off_list,
            "unanswered": self.scores.unanswered,
            **shares,
        }


def scored_rows(record: RunRecord) -> Iterator[ScoredRow]:
    """The rows of a run, in the order they came."""
    if not record.passes:
        yield from (ScoredRow(record, scores) for scores in record.scores)
        yield from (ScoredRow(record, scores) for scores in record.answer_scores)
