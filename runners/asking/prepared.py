"""What `runners.asking.prepare` leaves for the measuring processes: artifacts/questions.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.durable import replace_file
from edgelab.executed import ExecutedPrecision
from edgelab.problem import Problem
from edgelab.run_folder import RunFolder
from edgelab.settings.common import NotNegative, Precision, Text
from runners.asking.checkpoint import EngineName
from runners.prepared import PreparedImage, read_prepared_file

VERSION = 1

COUNT = "count"
"""What prompts learn whose answers are counts."""


class Question(msgspec.Struct, frozen=True, array_like=True):
    """One question: of which image, with which text, both by their place in the file.

    `label`: the class that is counted, or the true one. `answer`: the true one in words.
    """

    image: NotNegative
    text: NotNegative
    label: NotNegative | None = None
    answer: str | None = None


class AskedModel(msgspec.Struct, frozen=True):
    """The files of one precision. `executed`: what they will compute in, where files tell it."""

    sha256: Text
    size_bytes: NotNegative
    executed: ExecutedPrecision | None = None


class Questions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A precision of the run is either in `models` or, with the reason, in `problems`."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    model: Text
    folder: Text
    engine: EngineName
    learns: Text
    classes: tuple[str, ...]
    texts: tuple[str, ...]
    nouns: tuple[tuple[str, ...], ...]
    aliases: dict[str, tuple[str, ...]]
    images: tuple[PreparedImage, ...]
    questions: tuple[Question, ...]
    dataset_sha256: Text
    models: dict[Precision, AskedModel]
    problems: dict[Precision, str]

    def truth(self, question: Question) -> dict[int, int] | None:
        """True objects by class of what is counted; None without annotations, and of others."""
        truth = self.images[question.image].truth
        if truth is None or question.label is None or self.learns != COUNT:
            return None
        return {question.label: truth.get(question.label, 0)}

    def counted(self, question: Question) -> tuple[int, ...] | None:
        """The class that an answer is a count of; None where it is none."""
        if self.learns != COUNT or question.label is None:
            return None
        return (question.label,)

    def of(self, precision: Precision) -> AskedModel:
        """The files of that precision; raises the Problem that prevented them."""
        if precision not in self.models:
            raise Problem(self.problems.get(precision, f"no {precision} model was prepared"))
        return self.models[precision]


def write_questions(folder: RunFolder, questions: Questions) -> None:
    """Write it durably; raises OSError.

    Raises Problem in a resumed run where what is asked, or of whom, is no more what it was.
    """
    if folder.items.exists() and _path(folder).exists():
        before = read_questions(folder)
        if _asked(before) != _asked(questions):
            raise Problem(
                "the dataset, the prompts or the model changed since the run began: start a new "
                "run, this one cannot go on"
            )
    replace_file(_path(folder), msgspec.json.encode(questions))


def read_questions(folder: RunFolder) -> Questions:
    """Read and check it; raises SchemaProblem."""
    return read_prepared_file(_path(folder), Questions)


def _asked(questions: Questions) -> tuple[object, ...]:
    models = {precision: model.sha256 for precision, model in questions.models.items()}
    asked = (questions.texts, questions.questions, questions.dataset_sha256)
    return (questions.engine, models, questions.images, *asked)


def _path(folder: RunFolder) -> Path:
    return folder.artifacts / "questions.json"
