"""Asking the test questions: of the untouched model by every prompt, or of the fine-tuned one.

Greedy, one question at a time. An answer is journalled when it is given; a run that goes on after a
crash asks only what was not answered yet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.problem import Problem
from edgelab.records import Answered, ItemLine, Record, Verdict
from edgelab.settings.finetune import FinetuneSettings
from edgelab.steps import ZERO_SHOT
from runners.finetuning.artifacts import Artifacts
from runners.finetuning.base_model import BaseModel, load_for
from runners.finetuning.data import Asked, TaskData, read_data
from runners.finetuning.encoding import Encoder, on_device
from runners.finetuning.labels import Labels, NoLabel
from runners.finetuning.relaxed import match
from runners.finetuning.scores import answer_scores, classification_scores
from runners.images import ImageProblem, read_image
from runners.step import RunningStep, now


def run(step: RunningStep, settings: FinetuneSettings, home: Home) -> None:
    """Ask by each prompt of this step, and write the scores."""
    artifacts = Artifacts(step.folder)
    data = read_data(artifacts.data)
    step.phase("load the model", unit="")
    base = load_for(settings, home)
    prompts = list(data.prompts.prompts)
    if step.name != ZERO_SHOT:
        from runners.finetuning.adapter import load_adapter  # seconds that zero-shot need not pay

        load_adapter(base.model, artifacts.best).eval()  # it changes the base in place
        prompts = [settings.prompt]
    for prompt in prompts:
        Interview(step, settings, base, data, prompt).hold()


class Interview:
    """All test questions by one prompt."""

    def __init__(
        self,
        step: RunningStep,
        settings: FinetuneSettings,
        base: BaseModel,
        data: TaskData,
        prompt: str,
    ) -> None:
        self.step = step
        self.subject = f"{step.name} {prompt}"
        self._settings = settings
        self._base = base
        self._encoder = Encoder(base)
        self._data = data
        self._prompt = prompt
        self._labels = Labels(data.classes, data.prompts.aliases)

    def hold(self) -> None:
        """Ask what was not answered yet, then write the scores over all answers."""
        questions = self._data.splits["test"]
        answers = {each.index: each for each in self._answered_before()}
        self.step.phase(self.subject, len(questions), "questions")
        for index, asked in enumerate(questions):
            if index not in answers:
                answers[index] = self._answer(index, asked)
                self.step.item(answers[index])
            self.step.progress(index + 1)
        self._score([answers[index] for index in range(len(questions))])

    def _answered_before(self) -> list[Answered]:
        journal: JournalReader[Record] = JournalReader(self.step.folder.items, ItemLine)
        return [
            each
            for each in journal.poll()
            if isinstance(each, Answered) and each.subject == self.subject
        ]

    def _answer(self, index: int, asked: Asked) -> Answered:
        question = self._data.text(self._prompt, asked)
        try:
            image = read_image(Path(asked.image))
        except ImageProblem as problem:
            return Answered(
                now(), self.subject, index, asked.name, question, asked.answer, error=str(problem)
            )
        started = time.monotonic()
        inputs = on_device(self._encoder.prompt(image, question), self._base.model.device)
        with torch.inference_mode():
            output = self._base.model.generate(
                **inputs, max_new_tokens=self._settings.max_new_tokens, do_sample=False
            )
        words = self._encoder.decode(output[0, inputs["input_ids"].shape[1] :])
        elapsed = time.monotonic() - started
        verdict, label = self._judge(words, asked)
        return Answered(
            t=now(),
            subject=self.subject,
            index=index,
            image=asked.name,
            question=question,
            truth=asked.answer,
            answer=words,
            verdict=verdict,
            label=label,
            elapsed_s=elapsed,
        )

    def _judge(self, words: str, asked: Asked) -> tuple[Verdict, int | None]:
        found = self._labels.find(words)
        if not self._data.classes:
            if match(words, asked.answer).relaxed:
                return "right", None
            return ("unanswered" if found is NoLabel.UNANSWERED else "wrong"), None
        if isinstance(found, NoLabel):
            return ("unanswered" if found is NoLabel.UNANSWERED else "off-list"), None
        return ("right" if found == asked.label else "wrong"), found

    def _score(self, answers: Sequence[Answered]) -> None:
        """Of the questions whose image could be read."""
        given = [each for each in answers if each.error is None]
        if not given:
            raise Problem(f"no image could be read; the first one: {answers[0].error}")
        questions = self._data.splits["test"]
        asked = [questions[each.index] for each in given]
        unanswered = sum(each.verdict == "unanswered" for each in given)
        if self._data.classes:
            truth = [each.label for each in asked if each.label is not None]
            labels = [each.label for each in given]
            classes = self._data.classes
            self.step.event(
                classification_scores(self.subject, classes, truth, labels, unanswered, now())
            )
        else:
            matches = [match(each.answer, each.truth) for each in given]
            kinds = [each.kind for each in asked]
            self.step.event(answer_scores(self.subject, matches, kinds, unanswered, now()))
