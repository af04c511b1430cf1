"""A run that classifies, written by hand through the real writers."""

from __future__ import annotations

from edgelab.executed import ExecutedPrecision
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.outcome import close_run
from edgelab.queue import enqueue
from edgelab.records import (
    MEASURE,
    ClassifiedItem,
    DatasetFacts,
    Ended,
    ModelFacts,
    Outcome,
    PassEnded,
    PassStarted,
    Phase,
    StageTimes,
    Started,
    StepEnded,
    StepStarted,
)
from edgelab.run_folder import RunFolder
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Precision
from edgelab.spec import SPEC_VERSION, RunSpec

CLASSES = ("bar", "pie", "=line")
ANSWERS = ((0, 0), (0, 1), (1, 1), (1, 1), (2, -1), (2, 2))
"""True and answered class of each image."""


def write_classified(home: Home, number: int = 1) -> RunFolder:
    """Six images in FP32, two of them answered wrongly, one of these off the list."""
    folder = RunFolder(home.runs / f"{number:08x}")
    folder.path.mkdir(parents=True)
    settings = ClassifySettings(model="vit-tiny-3-charts", dataset="charts", threads=2)
    folder.write_spec(RunSpec(SPEC_VERSION, folder.id, number, "classify", 1.7e9, settings))
    enqueue(home, number, folder.id)
    fp32, proof = Precision.FP32, ExecutedPrecision(integer=0, half=0, full=60)
    with JournalWriter(folder.events) as events:
        events.append(DatasetFacts(3.0, "charts", "test", len(ANSWERS), CLASSES, True, "5" * 64))
        events.append(ModelFacts(4.0, fp32, "vit-tiny-3-charts", "a" * 64, 5_000_000, proof, "ort"))
        events.append(Phase(5.0, "fp32", MEASURE, len(ANSWERS)))
        events.append(PassStarted(5.0, fp32, len(ANSWERS), 1, 0.1, 5))
        events.append(PassEnded(12.0, fp32, 7.0, 90_000_000))
    with JournalWriter(folder.items) as items:
        for index, (label, answer) in enumerate(ANSWERS):
            items.append(
                ClassifiedItem(
                    t=6.0 + index,
                    precision=fp32,
                    index=index,
                    image=f"{index}.png",
                    times=StageTimes(1.0, 0.5, 4.0 + index, 0.1),
                    label=label,
                    top=((answer, 0.9 - 0.05 * index), (label, 0.05)),
                )
            )
    with JournalWriter(folder.life) as life:
        life.append(Started(1.0, 1.7e9, "b007", 1, {"board": "Orange Pi 3B"}))
        life.append(StepStarted(2.0, "fp32", 2))
        life.append(StepEnded(13.0, "fp32", Outcome.FINISHED, exit_code=0))
        life.append(Ended(14.0, 1.7e9, Outcome.FINISHED, duration_s=13.0))
    close_run(home, folder)
    return folder
