"""A training run written by hand, through the real writers."""

from __future__ import annotations

from collections.abc import Iterator

from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.outcome import close_run
from edgelab.queue import enqueue
from edgelab.records import (
    TRAIN,
    ClassificationScores,
    ClassScore,
    DatasetFacts,
    Ended,
    EpochEnded,
    Interval,
    LearningEnded,
    LearningStarted,
    Outcome,
    Phase,
    Progress,
    Record,
    SplitFacts,
    Started,
    StepEnded,
    StepStarted,
    TrainStep,
)
from edgelab.run_folder import RunFolder
from edgelab.settings.finetune import FinetuneSettings
from edgelab.settings.train import TrainSettings
from edgelab.spec import SPEC_VERSION, RunSpec

CLASSES = ("bar", "pie", "=line")
STEPS_PER_EPOCH = 10


def started(
    t: float, resumed_at: int = 0, epochs: int = 4, metric: str = "accuracy"
) -> LearningStarted:
    return LearningStarted(
        t=t, device="cpu", number_format="fp32", parameters=1500, trainable=1200, epochs=epochs,
        steps_per_epoch=STEPS_PER_EPOCH, batch=8, accumulate=1, metric=metric,
        resumed_at=resumed_at,
    )  # fmt: skip


def step(number: int, t: float) -> TrainStep:
    epoch = (number - 1) // STEPS_PER_EPOCH + 1
    return TrainStep(t, number, epoch, 2.0 / number, 1e-3, 8)


def epoch_ended(
    number: int, t: float, accuracy: float, best: bool = True, metric: str = "accuracy"
) -> EpochEnded:
    return EpochEnded(t, number, 0.5 / number, 0.6 / number, 1e-3, {metric: accuracy}, best)


def scores(subject: str = "best") -> ClassificationScores:
    share = Interval(0.8, 0.7, 0.9)
    return ClassificationScores(
        t=60.0, subject=subject, split="test", images=30, accuracy=share, precision=share,
        recall=share, f1=share, ece=Interval(0.05, 0.02, 0.09),
        classes=tuple(ClassScore(name, 10, 0.8, 0.8, 0.8) for name in CLASSES),
        confusion=((8, 2, 0), (1, 9, 0), (3, 0, 7)),
    )  # fmt: skip


def learning(epochs: int = 2, metric: str = "accuracy") -> Iterator[Record]:
    """Steps a second apart, and the ends of epochs between them."""
    yield started(10.0, metric=metric)
    for number in range(1, epochs * STEPS_PER_EPOCH + 1):
        yield step(number, 10.0 + number)
        if number % STEPS_PER_EPOCH == 0:
            epoch = number // STEPS_PER_EPOCH
            yield epoch_ended(epoch, 10.5 + number, 0.4 + 0.2 * epoch, metric=metric)


def write_training(home: Home, number: int = 1, over: bool = True) -> RunFolder:
    """A run of four epochs that has come to the end of its second, or ended there early."""
    run_id = f"{number:08x}"
    folder = RunFolder(home.runs / run_id)
    folder.path.mkdir(parents=True)
    settings = TrainSettings(model="vit-tiny-3", dataset="charts")
    folder.write_spec(RunSpec(SPEC_VERSION, run_id, number, "a training", 1.7e9, settings))
    enqueue(home, number, run_id)
    with JournalWriter(folder.life) as life:
        life.append(Started(1.0, 1.7e9, "b007", 1, {"board": "Orange Pi 3B"}))
        life.append(StepStarted(2.0, "train", 2))
        if over:
            life.append(StepEnded(61.0, "train", Outcome.FINISHED, exit_code=0))
            life.append(Ended(62.0, 1.7e9, Outcome.FINISHED, duration_s=61.0))
    with JournalWriter(folder.events) as events, JournalWriter(folder.items) as items:
        events.append(DatasetFacts(3.0, "charts", "train", 80, CLASSES, True, "5" * 64))
        events.append(SplitFacts(3.0, "train", (30, 20, 30)))
        events.append(Phase(9.0, "train", TRAIN, 40, "steps"))
        for record in learning():
            (items if isinstance(record, TrainStep) else events).append(record)
        if over:
            events.append(LearningEnded(59.0, "no better since epoch 2", 700_000_000))
            events.append(scores())
    if over:
        close_run(home, folder)
    return folder


def write_finetuning(home: Home, epochs: int = 2) -> RunFolder:
    """A fine-tuning of four epochs that is on: it was asked before, and has learned so far."""
    run_id = "000000f1"
    folder = RunFolder(home.runs / run_id)
    folder.path.mkdir(parents=True)
    settings = FinetuneSettings(model="paligemma-3b-pt-448", dataset="charts")
    folder.write_spec(RunSpec(SPEC_VERSION, run_id, 1, settings.title, 1.7e9, settings))
    enqueue(home, 1, run_id)
    with JournalWriter(folder.life) as life:
        life.append(Started(1.0, 1.7e9, "b007", 1, {"board": "Orange Pi 3B"}))
        life.append(StepStarted(2.0, "train" if epochs else "zero-shot", 2))
    with JournalWriter(folder.events) as events, JournalWriter(folder.items) as items:
        if not epochs:
            events.append(Phase(9.0, "zero-shot", "zero-shot second", 30, "questions"))
            events.append(Progress(12.0, "zero-shot", 10))
            return folder
        events.append(Phase(9.0, "train", TRAIN, 40, "steps"))
        for record in learning(epochs, "token accuracy"):
            (items if isinstance(record, TrainStep) else events).append(record)
    return folder
