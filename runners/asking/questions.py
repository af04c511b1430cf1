"""From data and prompts to questions; those on one image follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as changed

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.ask import AskSettings
from runners.asking.prepared import Question
from runners.datasets.dataset import Dataset, Sample
from runners.datasets.source import OnImage, Source
from runners.finetuning.data import Asked, asked_split
from runners.finetuning.labels import Labels
from runners.finetuning.prompts import Prompts, english_nouns

Tell = Callable[[str], None]

_PLACES = ("<image>", "<|image_pad|>", "<|video_pad|>")
"""What stands for an image in the prompts of `runners.vlm.families`."""

_SHOWN = 80


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


def ask_descriptions(source: Source, settings: AskSettings, prompts: Prompts) -> Asking:
    """One description of each image."""
    dataset = source.evaluation(settings)
    text = prompts.text(settings.prompt, settings.language)
    questions = tuple(Question(image, 0) for image in range(len(dataset.samples)))
    return Asking(dataset, (text,), questions)


def ask_words(
    settings: AskSettings, prompts: Prompts, home: Home, made: Path, on_image: OnImage
) -> Asking:
    """The class of each image, or the data's own questions; `made` as of `asked_split`.

    Raises Problem.
    """
    where = settings.dataset, settings.images, settings.split
    data = asked_split(*where, prompts, home, made, on_image)
    _check_labels(settings.dataset, data.classes, prompts)
    by_image: dict[str, list[Asked]] = {}
    for asked in data.asked:
        by_image.setdefault(asked.image, []).append(asked)
    images = list(by_image.values())[: settings.limit]
    texts: dict[str, int] = {}
    questions = []
    for image, all_of_it in enumerate(images):
        for asked in all_of_it:
            text = prompts.ask(settings.prompt, data.classes, asked.question, settings.language)
            place = texts.setdefault(text, len(texts))
            questions.append(Question(image, place, asked.label, asked.answer))
    samples = tuple(Sample(of[0].name, Path(of[0].image)) for of in images)
    dataset = Dataset(data.name, data.split, data.classes, samples)
    return Asking(dataset, tuple(texts), tuple(questions))


def must_leave_the_image_out(texts: Iterable[str]) -> None:
    """Raise Problem where a question has a place for an image: the prompt's own is the only one."""
    for text in texts:
        for place in _PLACES:
            if place in text:
                raise Problem(
                    f"{place} in the question {text[:_SHOWN]!r}: leave it out, the image comes "
                    "with the prompt"
                )


def _check_labels(name: str, classes: tuple[str, ...], prompts: Prompts) -> None:
    """Raise Problem where two classes cannot be told apart in an answer."""
    try:
        Labels(classes, prompts.aliases)
    except ValueError as error:
        raise Problem(f"{name}: {error}") from None


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
