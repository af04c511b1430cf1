"""From data and prompts to questions; those on one image follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from msgspec.structs import replace as changed

from edgelab.problem import Problem
from edgelab.settings.ask import AskSettings
from runners.asking.prepared import Question
from runners.datasets.dataset import Dataset, Sample
from runners.datasets.source import Source
from runners.finetuning.prompts import Prompts, english_nouns

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asking:
    """All that is asked. `texts`: what models are told, without repetition; `nouns`: what each
    class is called in an answer."""

    dataset: Dataset
    texts: tuple[str, ...]
    questions: tuple[Question, ...]
    nouns: tuple[tuple[str, ...], ...] = ()


def ask_counts(source: Source, settings: AskSettings, prompts: Prompts, tell: Tell) -> Asking:
    """How many of each class are on each image: of the classes that an image counts for.

    Raises Problem where there is no class to ask for.
    """
    dataset = _counted(source, settings)
    if not dataset.classes:
        raise Problem(
            f"{dataset.name}: has no classes of its own: name what is to be counted (--classes)"
        )
    language = settings.language
    known = {name: prompts.nouns_of(name, language) for name in dataset.classes}
    if language != "en" and (unknown := [name for name, own in known.items() if not own]):
        tell(f"no {language!r} nouns for these classes, asked in English: {', '.join(unknown)}")
    nouns = [own or english_nouns(name) for name, own in known.items()]
    texts = tuple(prompts.count(settings.prompt, language, each) for each in nouns)
    questions = tuple(
        Question(image, label, label)
        for image, sample in enumerate(dataset.samples)
        for label in _classes_of(sample, dataset)
    )
    return Asking(dataset, texts, questions, tuple(nouns))


def _counted(source: Source, settings: AskSettings) -> Dataset:
    """The data that is counted; without annotations, the classes asked for are all it has."""
    if settings.classes is None:
        return source.evaluation(settings)
    whole = source.evaluation(changed(settings, classes=None, per_class=None, limit=1))
    if whole.has_truth:
        return source.evaluation(settings)
    if settings.per_class is not None:
        raise Problem(f"{whole.name}: has no annotations: leave per-class out")
    return replace(source.evaluation(changed(settings, classes=None)), classes=settings.classes)


def _classes_of(sample: Sample, dataset: Dataset) -> Iterator[int]:
    yield from range(len(dataset.classes)) if sample.evaluated is None else sample.evaluated
