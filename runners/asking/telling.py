"""Telling of a question while the model answers it: few and small events, for whoever watches."""

from __future__ import annotations

from edgelab.records import Answering, Asking
from runners.step import RunningStep, now

QUESTION_PERIOD_S = 1.0
"""A question is told of at most so often: a fast model's are not."""

TEXT_PERIOD_S = 0.25
"""Its answer grows on screen at most so often."""

_HALF_A_CHARACTER = "\ufffd"


class Telling:
    """Tells the events of a run which question is asked, and its answer as it grows."""

    def __init__(self, step: RunningStep) -> None:
        self._step = step
        self._question_due = 0.0
        self._text_due = 0.0
        self._told = False
        self._sent = ""

    def begin(self, index: int, image: str, path: str, question: str, truth: int | None) -> None:
        """The next question, which is told where it is time again."""
        moment = now()
        self._told = moment >= self._question_due
        self._sent, self._text_due = "", moment
        if self._told:
            self._question_due = moment + QUESTION_PERIOD_S
            self._step.event(Asking(moment, index, image, path, question, truth))

    def hear(self, text: str) -> None:
        """The answer so far."""
        text = text.rstrip(_HALF_A_CHARACTER)
        moment = now()
        if not self._told or moment < self._text_due or not text.startswith(self._sent):
            return
        piece = text[len(self._sent) :]
        if piece:
            self._sent, self._text_due = text, moment + TEXT_PERIOD_S
            self._step.event(Answering(moment, piece))
