"""The quantisation doctor for classifiers: does a converted model give the same answers?

No labels are needed: the source's own answers are the standard. How accurate the outcome is says
the run that measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgelab.conversion import AnswerCheck
from runners.classifier import ImageClassifier, Probabilities
from runners.classifier_file import ClassifierFile
from runners.detections import NotFinite
from runners.images import ImageProblem, read_image
from runners.quantisation_doctor import Examination, Timed, common_findings

CHANGED_SHARE = 0.1
"""Refused where more of the images than this get another answer than the source gives them..."""
CHANGED_IMAGES = 2
"""...and these on top, for a handful of images says little."""


@dataclass(frozen=True, kw_only=True)
class ClassifierExamination(Examination):
    """What the doctor found; `answers` is None where no image could be read."""

    answers: AnswerCheck | None

    def collapse(self) -> str | None:
        """Why the outcome is another model; None where it is not."""
        answers = self.answers
        if answers is None or answers.changed <= CHANGED_SHARE * self.checked + CHANGED_IMAGES:
            return None
        return (
            f"answers collapse: {answers.changed} of {self.checked} images get another class than "
            "the source gives them"
        )

    def findings(self) -> dict[str, Any]:
        """What the report has of it."""
        return {"answers": self.answers}


def examine(
    source: ClassifierFile,
    outcome: Path,
    images: Sequence[Path],
    threads: int,
    on_image: Callable[[int], None],
) -> ClassifierExamination:
    """Compare `outcome` with the model it was made from; `on_image` is told of each image.

    Images that cannot be read are left out. Raises Problem where the outcome cannot be run at all.
    """
    classifiers = [ImageClassifier(path, source.side, threads) for path in (source.path, outcome)]
    timed = [Timed(classifier) for classifier in classifiers]
    before: list[Probabilities] = []
    after: list[Probabilities] = []
    tensors = []
    not_finite = 0
    for number, path in enumerate(images, start=1):
        try:
            tensor, _ = classifiers[0].preprocess(read_image(path))
        except ImageProblem:
            continue
        tensors.append(tensor)
        try:
            pair = [
                each.postprocess(watch.infer(each.cast(tensor)))
                for each, watch in zip(classifiers, timed, strict=True)
            ]
        except NotFinite:
            not_finite += 1
        else:
            before.append(pair[0])
            after.append(pair[1])
        on_image(number)
    return ClassifierExamination(
        **common_findings(source, outcome, timed, tensors),
        not_finite=not_finite,
        checked=len(tensors),
        answers=_answers(np.array(before), np.array(after)) if before else None,
    )


def _answers(before: Probabilities, after: Probabilities) -> AnswerCheck:
    """Both are (images, classes)."""
    errors = np.abs(after - before).max(axis=1)
    return AnswerCheck(
        changed=int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
        mean_error=float(errors.mean()),
        largest_error=float(errors.max()),
    )
