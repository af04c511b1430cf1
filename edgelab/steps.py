"""The steps of a run: which programs it starts, in which order.

Each step is a process of its own, so that its peak memory is its own and its death costs no other
step. Programs are named, not imported: the lab does not know the runners.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from edgelab.settings.ask import AskSettings
from edgelab.settings.base import MeasureSettings
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Order, Precision
from edgelab.settings.convert import ConversionSettings, ConvertSettings
from edgelab.settings.convert_vlm import ConvertVlmSettings
from edgelab.settings.detect import DetectSettings
from edgelab.settings.finetune import FinetuneSettings
from edgelab.settings.train import TrainSettings
from edgelab.spec import RunSpec

PREPARE = "prepare"
TRAIN_STEP = "train"
ZERO_SHOT = "zero-shot"
FINE_TUNED = "fine-tuned"
MERGE = "merge"
MODEL = "model"
SCORE = "score"

OUT_OF_MEMORY_EXIT = 77
"""A runner ends with this code when an allocation failed: out of memory, proven."""

DISK_FULL_EXIT = 78
"""A runner ends with this code when its journal found no room."""


@dataclass(frozen=True)
class Step:
    """`python -m module <run folder> arguments...`; those not `needed` may fail alone.

    `again`: done anew when a run is resumed, for it checks or makes what the others stand on.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    needed: bool = True
    again: bool = False

    @property
    def measures(self) -> bool:
        """True for the pass of a precision: its name begins with it."""
        return precision_of(self.name) in set(Precision)


_SCORE = Step(SCORE, "runners.score", needed=False, again=True)


def steps_of(spec: RunSpec) -> tuple[Step, ...]:
    """The steps of a run, as its task has them."""
    match spec.settings:
        case ClassifySettings() as settings:
            return (
                Step(PREPARE, "runners.prepare_classify", again=True),
                *measuring("runners.classify", settings, spec.id),
            )
        case DetectSettings() as settings:
            return (
                Step(PREPARE, "runners.prepare", again=True),
                *measuring("runners.detect", settings, spec.id),
                _SCORE,
            )
        case AskSettings() as settings:
            return (
                Step(PREPARE, "runners.asking.prepare", again=True),
                *measuring("runners.ask", settings, spec.id),
                _SCORE,
            )
        case ConvertSettings() as settings:
            return _converting("runners.convert", settings)
        case ConvertVlmSettings() as settings:
            return _converting("runners.convert_vlm", settings)
        case FinetuneSettings() as settings:
            return _finetuning(settings)
        case TrainSettings() as settings:
            several = settings.processes > 1
            return (Step(TRAIN_STEP, "runners.train_together" if several else "runners.train"),)


def _converting(module: str, settings: ConversionSettings) -> tuple[Step, ...]:
    """What all stand on first, then each precision, which may be refused alone."""
    return (
        Step(MODEL, module, (MODEL,)),
        *(Step(each.value, module, (each.value,), needed=False) for each in settings.precisions),
    )


def _finetuning(settings: FinetuneSettings) -> tuple[Step, ...]:
    """Asked as it is, trained, asked again; merging may fail alone, the adapter is there."""
    names = [PREPARE, TRAIN_STEP, FINE_TUNED]
    if settings.zero_shot:
        names.insert(1, ZERO_SHOT)
    steps = [Step(name, "runners.finetune", (name,), again=name == PREPARE) for name in names]
    if settings.merge is not None:
        steps.append(Step(MERGE, "runners.finetune", (MERGE,), needed=False))
    return tuple(steps)


def measuring(module: str, settings: MeasureSettings, seed: str) -> tuple[Step, ...]:
    """One process a turn of a precision; one that dies costs the others nothing."""
    return tuple(_measure(module, *turn) for turn in _turns(settings, seed))


def precision_of(step: str) -> str:
    """The precision that a measuring step's name begins with."""
    return step.partition(" ")[0]


def _turns(settings: MeasureSettings, seed: str) -> list[tuple[Precision, int]]:
    """Each precision with the number of its turn, from 0."""
    first = list(settings.precisions)
    if settings.order is Order.RANDOM:
        random.Random(seed).shuffle(first)  # noqa: S311 - an order, not a secret
    turns = [(precision, 0) for precision in first]
    if settings.order is Order.ABBA:
        turns += [(precision, 1) for precision in reversed(first)]
    return turns


def _measure(module: str, precision: Precision, turn: int) -> Step:
    name = precision.value if turn == 0 else f"{precision.value} again"
    arguments = ("--precision", precision.value, "--turn", str(turn))
    return Step(name, module, arguments, needed=False)
