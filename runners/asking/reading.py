"""What an answer is worth: the model's own words become the figures of an item.

Nothing is guessed: an answer in which no count can be read is `unanswered`, with the reason, and
never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgelab.answers import Number, Refusal, parse_count
from edgelab.records import Verdict
from edgelab.settings.common import Language
from runners.asking.prepared import Question, Questions

REFUSED = "the model does not tell"


@dataclass(frozen=True)
class Reading:
    """The part of an item that comes from its answer."""

    counts: tuple[dict[int, int], ...] = ()
    unanswered: str | None = None
    verdict: Verdict | None = None
    label: int | None = None


class Reader:
    """Reads the answers of a run."""

    def __init__(self, questions: Questions, language: Language) -> None:
        self._questions = questions
        self._language = language

    def read(self, question: Question, answer: str) -> Reading:
        """What the answer to that question says."""
        assert question.label is not None
        nouns = self._questions.nouns[question.label]
        found = parse_count(answer, nouns, self._language)
        if isinstance(found, Number):
            return Reading(counts=({question.label: found.value},))
        return Reading(unanswered=REFUSED if isinstance(found, Refusal) else found.reason)
