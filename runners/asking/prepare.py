"""Prepare an asking run: `python -m runners.asking.prepare RUN_FOLDER`.

Finds the model, reads the data and the prompts, and leaves all questions in
artifacts/questions.json. Torch is not imported, and of a checkpoint's weights headers and a few
blocks are read.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from edgelab.catalogue import Catalogue
from edgelab.executed import ExecutedPrecision, total
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.steps import PREPARE
from runners.asking.checkpoint import Checkpoint, find_checkpoint, fingerprint
from runners.asking.prepared import VERSION, AskedModel, Questions, write_questions
from runners.asking.questions import (
    Asking,
    ask_counts,
    ask_descriptions,
    ask_words,
    must_leave_the_image_out,
)
from runners.datasets.source import open_source
from runners.datasets.telling import tell_dataset
from runners.downloading import Downloading
from runners.drawing import Drawing
from runners.extras import needs
from runners.finetuning.prompts import Prompts, read_prompts, require
from runners.prepared import PreparedImage
from runners.step import RunningStep, open_step

_LIBRARIES = {
    "torch": ("vlm", ("torch", "transformers", "PIL")),
    "onnx": ("vlm-onnx", ("tokenizers", "jinja2", "PIL")),
}


def main() -> None:
    """Read the command line and prepare."""
    parser = argparse.ArgumentParser(description="Prepare the questions of a run.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with open_step(arguments.folder, PREPARE) as step:
        prepare(step, Home.default())


def prepare(step: RunningStep, home: Home) -> None:
    """Do it; raises Problem where nothing can be asked."""
    settings = step.settings(AskSettings)
    prompts = read_prompts(settings.prompts, home)
    require(prompts, settings.prompt, settings.language)
    step.phase("find the model", unit="")
    checkpoint = find_checkpoint(
        settings.model, settings.revision, home, Downloading(step), settings.precisions
    )
    _check_libraries(checkpoint)
    models, problems = _models(checkpoint, settings, step.folder.artifacts)
    for problem in problems.values():
        step.warning(problem)
    step.phase("read the dataset")
    asking = _asking(step, settings, prompts, home)
    must_leave_the_image_out(asking.texts)
    tell_dataset(step, asking.dataset, asking.dataset.classes, len(asking.questions))
    write_questions(
        step.folder,
        Questions(
            version=VERSION,
            model=checkpoint.name,
            folder=str(checkpoint.folder.absolute()),
            engine=checkpoint.engine,
            learns=prompts.learns,
            classes=asking.dataset.classes,
            texts=asking.texts,
            nouns=asking.nouns,
            aliases=prompts.aliases,
            images=tuple(PreparedImage.of(sample) for sample in asking.dataset.samples),
            questions=asking.questions,
            dataset_sha256=asking.dataset.fingerprint(),
            models=models,
            problems=problems,
        ),
    )


def _asking(step: RunningStep, settings: AskSettings, prompts: Prompts, home: Home) -> Asking:
    """What the prompts ask for decides what data are needed."""
    drawing = Drawing(step)
    if prompts.learns in ("class", "answer"):
        return ask_words(settings, prompts, home, step.folder.artifacts / "images", drawing)
    source = open_source(settings, Catalogue(home), home, drawing)
    if prompts.learns == "description":
        return ask_descriptions(source, settings, prompts)
    return ask_counts(source, settings, prompts, step.warning)


def _models(
    checkpoint: Checkpoint, settings: AskSettings, scratch: Path
) -> tuple[dict[Precision, AskedModel], dict[Precision, str]]:
    """What is there of each precision; raises Problem where nothing is there of any."""
    models, problems = {}, {}
    for precision in settings.precisions:
        if (problem := checkpoint.why_not(precision)) is not None:
            problems[precision] = problem
            continue
        files = checkpoint.files(precision)
        size = sum(file.stat().st_size for file in files)
        models[precision] = AskedModel(
            fingerprint(files, checkpoint.folder / "config.json"),
            size,
            _executed(files, scratch) if checkpoint.engine == "onnx" else None,
        )
    if not models:
        raise Problem("; ".join(problems.values()))
    return models, problems


def _executed(files: tuple[Path, ...], scratch: Path) -> ExecutedPrecision:
    """What all graphs together will compute in."""
    scratch.mkdir(parents=True, exist_ok=True)
    from runners.precision import prove_executed  # onnx: not needed beside torch

    return total([prove_executed(each, scratch) for each in files if each.suffix == ".onnx"])


def _check_libraries(checkpoint: Checkpoint) -> None:
    extra, names = _LIBRARIES[checkpoint.engine]
    with needs(extra, "asking a vision-language model"):
        for name in names:
            if importlib.util.find_spec(name) is None:
                raise ModuleNotFoundError(name=name)


if __name__ == "__main__":
    main()
