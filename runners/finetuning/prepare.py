"""The first step: what is wrong with data, prompts or libraries is found before the long ones."""

from __future__ import annotations

import importlib.util

import msgspec

from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import DatasetFacts, SplitFacts
from edgelab.schema import read_json
from edgelab.settings.finetune import FinetuneSettings
from runners.asking.checkpoint import find_checkpoint
from runners.downloading import Downloading
from runners.drawing import Drawing
from runners.extras import needs
from runners.finetuning.artifacts import Artifacts
from runners.finetuning.data import TaskData, collect, read_data
from runners.finetuning.labels import Labels
from runners.finetuning.parts import must_be_tunable
from runners.finetuning.prompts import read_prompts, require
from runners.step import RunningStep, now

_LATER = ("torch", "transformers", "peft", "sklearn")


def run(step: RunningStep, settings: FinetuneSettings, home: Home) -> None:
    """Write artifacts/data.json; raises Problem, also where a resumed run's data have changed."""
    _check_libraries(settings)
    prompts = read_prompts(settings.prompts, home)
    require(prompts, settings.prompt)
    checkpoint = find_checkpoint(settings.model, settings.revision, home, Downloading(step))
    config = read_json(checkpoint.folder / "config.json", dict)
    must_be_tunable(checkpoint.folder, str(config.get("model_type")))
    step.phase("read the dataset")
    made = step.folder.artifacts / "images"
    data = collect(settings, prompts, home, made, step.warning, Drawing(step))
    try:
        Labels(data.classes, prompts.aliases)
    except ValueError as error:
        raise Problem(f"{settings.dataset}: {error}") from None
    _tell(step, data)
    file = Artifacts(step.folder).data
    if file.exists() and read_data(file).sha256 != data.sha256:
        raise Problem(
            "the data or the prompts changed since the run began: start a new run, this one cannot "
            "go on"
        )
    replace_file(file, msgspec.json.encode(data))


def _check_libraries(settings: FinetuneSettings) -> None:
    quantised = ("bitsandbytes",) if settings.precision.quantised else ()
    with needs("finetune", "fine-tuning"):
        for name in (*_LATER, *quantised):
            _must_be_there(name)
    if settings.tensorboard:
        with needs("train", "TensorBoard event files"):
            _must_be_there("tensorboard")


def _must_be_there(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(name=name)


def _tell(step: RunningStep, data: TaskData) -> None:
    for split, asked in data.splits.items():
        labels = [each.label for each in asked]
        counts = tuple(labels.count(index) for index in range(len(data.classes)))
        step.event(SplitFacts(now(), split, counts or (len(asked),)))
    step.event(
        DatasetFacts(
            t=now(),
            name=data.name,
            split="test",
            images=len({each.image for each in data.splits["test"]}),
            classes=data.classes or ("questions",),
            has_truth=True,
            sha256=data.sha256,
            objects=len(data.splits["test"]),
        )
    )
