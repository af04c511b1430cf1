"""Ask a model in one precision: `python -m runners.ask RUN_FOLDER --precision fp32`.

The engine is chosen by the model's folder: its three ONNX files are run without torch, so that this
process's peak memory is what a deployment needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import cv2

from edgelab.fitting import expected_memory
from edgelab.problem import Problem
from edgelab.records import (
    MEASURE,
    AskedItem,
    Forecasted,
    ModelFacts,
    PassEnded,
    PassStarted,
    StageTimes,
)
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from runners.asking.prepared import COUNT, Question, Questions, read_questions
from runners.asking.reading import Reader
from runners.asking.reply import Asked, Engine, OnStage, OnText
from runners.asking.telling import Telling
from runners.extras import needs
from runners.images import ImageProblem, read_image
from runners.memory import peak_memory_bytes, resident_bytes
from runners.scenarios import milliseconds
from runners.step import RunningStep, now, open_step


def main() -> None:
    """Read the command line and ask."""
    parser = argparse.ArgumentParser(description="Ask a model in one precision.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", type=Precision, choices=list(Precision), required=True)
    parser.add_argument("--turn", type=int, default=0, help="how often it was measured before")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with open_step(arguments.folder, arguments.precision.value) as step:
        Pass(step, read_questions(step.folder), arguments.precision, arguments.turn).run()


class Pass:
    """One precision over all questions, `repetitions` times."""

    def __init__(
        self, step: RunningStep, questions: Questions, precision: Precision, turn: int
    ) -> None:
        self.step = step
        self.settings = step.settings(AskSettings)
        self.precision = precision
        self._asked = questions
        self._reader = Reader(questions, self.settings.language)
        self._pictures = Pictures(questions)
        self._telling = Telling(step)
        self._first_repetition = turn * self.settings.repetitions
        self._done = step.done(precision)
        self._answered = 0
        self._given_ms = 0.0  # decoding and the model: the time that is not the runner's own
        self._first_problem = ""

    def run(self) -> None:
        """Load, warm up, ask; raises Problem where no question got an answer."""
        engine, load_s = self._load()
        self._tell_model(engine)
        warmup = self._warm_up(engine)
        questions, repetitions = len(self._asked.questions), self.settings.repetitions
        self.step.phase(MEASURE, questions * repetitions, "questions")
        started = now()
        self.step.event(
            PassStarted(started, self.precision, questions, repetitions, load_s, warmup)
        )
        for repetition, index in self._left():
            self.step.checkpoint()
            self.step.item(self._item(engine, repetition, index))
        elapsed_s = now() - started
        if not self._answered and not self._done:
            raise Problem(f"no question was answered; the first one: {self._first_problem}")
        overhead = 1 - self._given_ms / 1000 / elapsed_s if elapsed_s else None
        self.step.event(PassEnded(now(), self.precision, elapsed_s, peak_memory_bytes(), overhead))

    def _load(self) -> tuple[Engine, float]:
        """The model, and the seconds until it was there, libraries included."""
        self._asked.of(self.precision)
        self.step.phase("load the model", unit="")
        started = now()
        kind = engine_kind(self._asked)
        folder = Path(self._asked.folder)
        self._tell_forecast(folder)
        engine = kind(folder, self.precision, self.settings, self.step.stage)
        return engine, now() - started

    def _tell_forecast(self, folder: Path) -> None:
        """What the peak should be, to be held against what it will have been."""
        libraries = resident_bytes()
        with suppress(Problem):  # old .bin files tell nothing by headers
            expected = expected_memory(folder, self.precision, self.settings, libraries)
            self.step.event(Forecasted(now(), self.precision, expected.peak, libraries))

    def _tell_model(self, engine: Engine) -> None:
        model = self._asked.of(self.precision)
        executed = engine.executed() or model.executed
        assert executed is not None  # either the files or the loaded model tell it
        self.step.event(
            ModelFacts(
                t=now(),
                precision=self.precision,
                name=self._asked.model,
                sha256=model.sha256,
                size_bytes=sum(executed.weights.values()) or model.size_bytes,
                executed=executed,
                runtime=engine.runtime,
            )
        )

    def _warm_up(self, engine: Engine) -> int:
        """Ask real questions whose answers nobody records; returns how many."""
        wanted = self.settings.warmup
        self.step.phase("warm up", wanted, "questions")
        done = 0
        for question in islice(cycle(self._asked.questions), wanted):
            picture, _, problem = self._pictures.of(question, engine)
            if not problem:
                self._ask(engine, question, picture, ("warm up", question.image))
                done += 1
            self.step.progress(done)
        self._pictures.forget()
        return done

    def _left(self) -> Iterator[tuple[int, int]]:
        """(repetition, index) of the questions that no earlier attempt has asked."""
        first = self._first_repetition
        for repetition in range(first, first + self.settings.repetitions):
            for index in range(len(self._asked.questions)):
                if (repetition, index) not in self._done:
                    yield repetition, index

    def _item(self, engine: Engine, repetition: int, index: int) -> AskedItem:
        question = self._asked.questions[index]
        image = self._asked.images[question.image]
        picture, decode_ms, problem = self._pictures.of(question, engine)
        if problem:
            self._first_problem = self._first_problem or f"{image.name}: {problem}"
            return AskedItem(
                now(), self.precision, index, image.name, repetition, error=problem,
                question=self._text(question),
            )  # fmt: skip
        truth = self._asked.truth(question)
        total = None if truth is None else sum(truth.values())
        self._telling.begin(index, image.name, image.path, self._text(question), total)
        asked = self._ask(engine, question, picture, question.image, self._telling.hear)
        answered = perf_counter_ns()
        reading = self._reader.read(question, asked.text)
        stages = asked.stages
        times = StageTimes(
            decode=decode_ms,
            preprocess=stages.preprocess,
            infer=stages.first_token - stages.preprocess + stages.decode,
            postprocess=milliseconds(answered, perf_counter_ns()),
        )
        self._answered += 1
        self._given_ms += times.decode + times.preprocess + times.infer
        return AskedItem(
            t=now(),
            precision=self.precision,
            index=index,
            image=image.name,
            repetition=repetition,
            times=times,
            truth=truth,
            counts=reading.counts,
            evaluated=self._asked.counted(question),
            unanswered=reading.unanswered,
            question=self._text(question),
            answer=asked.text,
            stages=stages,
            tokens=len(asked.ids),
            prompt_tokens=asked.prompt_tokens,
            image_tokens=asked.image_tokens,
            cut=asked.cut,
            expected=question.answer,
            verdict=reading.verdict,
            agreement=reading.agreement,
            label=reading.label,
            true_label=None if self._asked.learns == COUNT else question.label,
        )

    def _ask(
        self,
        engine: Engine,
        question: Question,
        picture: Any,
        key: object,
        on_text: OnText | None = None,
    ) -> Asked:
        share = self.settings.share_encoding
        return engine.ask(key, picture, self._text(question), share=share, on_text=on_text)

    def _text(self, question: Question) -> str:
        return self._asked.texts[question.text]


class Pictures:
    """Decoded images, one at a time: the questions on an image follow each other."""

    def __init__(self, questions: Questions) -> None:
        self._images = questions.images
        self._index = -1
        self._held: tuple[Any, str] = (None, "")

    def of(self, question: Question, engine: Engine) -> tuple[Any, float, str]:
        """The picture, the milliseconds of its decoding (0 where it was there), its problem."""
        if question.image == self._index:
            return self._held[0], 0.0, self._held[1]
        self._held, self._index = (None, ""), question.image
        started = perf_counter_ns()
        self._held = self._read(question.image, engine)
        return self._held[0], milliseconds(started, perf_counter_ns()), self._held[1]

    def forget(self) -> None:
        """The next one is decoded, whichever it is."""
        self._index = -1

    def _read(self, index: int, engine: Engine) -> tuple[Any, str]:
        image = self._images[index]
        if image.problem is not None:
            return None, image.problem
        try:
            return engine.picture(read_image(Path(image.path))), ""
        except ImageProblem as problem:
            return None, str(problem)


def engine_kind(questions: Questions) -> Callable[[Path, Precision, AskSettings, OnStage], Engine]:
    """What loads the model of that folder, its libraries imported."""
    if questions.engine == "onnx":
        with needs("vlm-onnx", "asking a SmolVLM"):
            from runners.asking.onnx_engine import OnnxEngine
        return OnnxEngine
    with needs("vlm", "asking a vision-language model"):
        from runners.asking.torch_engine import TorchEngine
    return TorchEngine


if __name__ == "__main__":
    main()
