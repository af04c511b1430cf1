"""What an answer is worth: the model's own words become the figures of an item.

Nothing is guessed: an answer in which no count can be read is `unanswered`, with the reason, and
never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgelab.answers import Number, Refusal, parse_count
from edgelab.records import Agreement, Verdict
from edgelab.settings.common import Language
from runners.asking.prepared import COUNT, Question, Questions
from runners.finetuning.labels import Labels, NoLabel
from runners.finetuning.relaxed import match

REFUSED = "the model does not tell"


@dataclass(frozen=True)
class Reading:
    """The part of an item that comes from its answer."""

    counts: tuple[dict[int, int], ...] = ()
    unanswered: str | None = None
    verdict: Verdict | None = None
    agreement: Agreement | None = None
    label: int | None = None


class Reader:
    """Reads the answers of a run."""

    def __init__(self, questions: Questions, language: Language) -> None:
        self._questions = questions
        self._language = language
        named = questions.classes if questions.learns == "class" else ()
        self._labels = Labels(named, questions.aliases)
        self._read = {
            COUNT: self._count,
            "class": self._class,
            "answer": self._free,
            "description": self._description,
        }[questions.learns]

    def read(self, question: Question, answer: str) -> Reading:
        """What the answer to that question says."""
        return self._read(question, answer)

    def _class(self, question: Question, answer: str) -> Reading:
        found = self._labels.find(answer)
        if isinstance(found, NoLabel):
            unanswered = found is NoLabel.UNANSWERED
            return Reading(verdict="unanswered" if unanswered else "off-list")
        return Reading(verdict="right" if found == question.label else "wrong", label=found)

    def _free(self, question: Question, answer: str) -> Reading:
        met = match(answer, question.answer or "")
        if met.relaxed:
            return Reading(verdict="right", agreement="exact" if met.exact else "number")
        unanswered = self._labels.find(answer) is NoLabel.UNANSWERED
        return Reading(
            verdict="unanswered" if unanswered else "wrong",
            agreement="contains" if met.contains else "none",
        )

    def _description(self, _question: Question, _answer: str) -> Reading:
        """Nothing is true or false about it."""
        return Reading()

    def _count(self, question: Question, answer: str) -> Reading:
        assert question.label is not None
        nouns = self._questions.nouns[question.label]
        found = parse_count(answer, nouns, self._language)
        if isinstance(found, Number):
            return Reading(counts=({question.label: found.value},))
        return Reading(unanswered=REFUSED if isinstance(found, Refusal) else found.reason)
