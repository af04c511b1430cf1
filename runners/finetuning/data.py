"""What is learned and asked: images with questions and answers, in three splits without leaks."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.finetune import FinetuneSettings
from runners.datasets.dataset import WHOLE
from runners.datasets.labelled import SPLITS, limited
from runners.datasets.picture_files import as_files
from runners.datasets.source import OnImage
from runners.finetuning.prompts import Prompts
from runners.finetuning.sources import Candidate, open_asked
from runners.images import ImageProblem

VERSION = 1

Tell = Callable[[str], None]
Splits = dict[str, list[Candidate]]


class Asked(msgspec.Struct, frozen=True):
    """One question on one image. `label`: the answer as an index of the classes, None of others.

    `question` is empty where a prompt asks for the class; `kind` is what is asked about.
    """

    image: str
    name: str
    question: str
    answer: str
    kind: str = ""
    label: int | None = None


class TaskData(msgspec.Struct, frozen=True):
    """`artifacts/data.json`: all that the steps of a run ask. `classes` is empty without any."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    name: str
    classes: tuple[str, ...]
    prompts: Prompts
    splits: dict[str, tuple[Asked, ...]]
    sha256: str

    def text(self, prompt: str, asked: Asked) -> str:
        """The prompt as the model gets it."""
        return self.prompts.ask(prompt, self.classes, asked.question)


def read_data(path: Path) -> TaskData:
    """What `prepare` left; raises SchemaProblem."""
    return read_json(path, TaskData)


def collect(
    settings: FinetuneSettings,
    prompts: Prompts,
    home: Home,
    made: Path,
    tell: Tell,
    on_image: OnImage,
) -> TaskData:
    """Read the data set, look at each image, split what has no splits, and keep splits apart.

    Images that are no files of their own are written into the folder `made`. `tell` is told what
    was left out and why. Raises Problem where too little is left.
    """
    data = open_asked(settings.dataset, settings.images, prompts, home, on_image)
    for warning in data.warnings:
        tell(warning)
    found, limit = data.splits, settings.limit
    if None in found:
        whole = _readable(found[None], tell)
        splits = split_apart(_without_contradictions(whole, tell), settings, tell)
        splits = {split: limited(each, limit) for split, each in splits.items()}
    else:
        splits = {str(s): _readable(limited(each, limit), tell) for s, each in found.items()}
    splits = without_leaks(splits, tell)
    for split in ("train", "test"):
        if not splits[split]:
            raise Problem(f"{settings.dataset}: no image is left in the {split} split")
    if prompts.learns == "class":
        _check_classes(settings.dataset, data.classes, splits, tell)
    hashes = [[(c.sha256, c.asks, c.label) for c in splits[split]] for split in SPLITS]
    content = msgspec.json.encode((data.classes, prompts, hashes))
    return TaskData(
        version=VERSION,
        name=data.name,
        classes=data.classes,
        prompts=prompts,
        splits={split: _asked(splits[split], made / split) for split in SPLITS},
        sha256=hashlib.sha256(content).hexdigest(),
    )


@dataclass(frozen=True)
class AskedSplit:
    """One split as it is: nothing was looked at, and nothing left out."""

    name: str
    split: str
    classes: tuple[str, ...]
    asked: tuple[Asked, ...]


def asked_split(
    dataset: str,
    images: str | None,
    split: str | None,
    prompts: Prompts,
    home: Home,
    made: Path,
    on_image: OnImage,
) -> AskedSplit:
    """All that is asked of a split, by default of the test split; of data without splits, all.

    `made` as above. Raises Problem where there are no such data.
    """
    data = open_asked(dataset, images, prompts, home, on_image, (split or "test",))
    chosen = None if None in data.splits and split is None else split or "test"
    if chosen not in data.splits:
        known = ", ".join(each or WHOLE for each in data.splits)
        raise Problem(f"{dataset}: no split {chosen!r}, it has {known}")
    asked = _asked(data.splits[chosen], made)
    return AskedSplit(data.name, chosen or WHOLE, data.classes, asked)


def _asked(candidates: Sequence[Candidate], made: Path) -> tuple[Asked, ...]:
    """All that is asked, each of an image file."""
    files = as_files([each.picture for each in candidates], made, lambda _: None)
    return tuple(
        Asked(file.path, file.name, ask.question, ask.answer, ask.kind, each.label)
        for each, file in zip(candidates, files, strict=True)
        for ask in each.asks
    )


def _readable(candidates: Sequence[Candidate], tell: Tell) -> list[Candidate]:
    """Those whose images decode, with their content hashed; the others are named."""
    kept = []
    for candidate in candidates:
        picture = candidate.picture
        try:
            picture.read()
        except ImageProblem as problem:
            tell(f"{picture.name}: {problem}: left out")
        else:
            candidate.sha256 = picture.digest()
            kept.append(candidate)
    return kept


def _by_content(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.sha256].append(candidate)
    return groups


def _without_contradictions(candidates: list[Candidate], tell: Tell) -> list[Candidate]:
    """Without images that are there more than once, byte by byte, in different classes."""
    kept = []
    for copies in _by_content(candidates).values():
        if len({each.label for each in copies}) > 1:
            names = ", ".join(sorted(each.picture.name for each in copies))
            answers = ", ".join(sorted({ask.answer for each in copies for ask in each.asks}))
            tell(f"one image in different classes ({answers}), left out: {names}")
        else:
            kept.extend(copies)
    return kept


def split_apart(candidates: Sequence[Candidate], settings: FinetuneSettings, tell: Tell) -> Splits:
    """Split by class and by the seed; images of the same content stay together.

    A class of fewer than three different images is trained on only.
    """
    by_class: dict[int | None, list[list[Candidate]]] = defaultdict(list)
    for copies in _by_content(candidates).values():
        by_class[copies[0].label].append(copies)
    splits: Splits = {split: [] for split in SPLITS}
    for label in sorted(by_class, key=lambda each: -1 if each is None else each):
        groups = by_class[label]
        chooser = random.Random(f"{settings.schedule.seed} {label}")  # noqa: S311 - no secret
        chooser.shuffle(groups)
        if len(groups) < len(SPLITS):
            tell(f"{groups[0][0].asks[0].answer}: {len(groups)} images, none are held out")
            test = val = 0
        else:
            test = max(1, round(len(groups) * settings.test_share))
            val = max(1, round(len(groups) * settings.val_share))
        for split, part in (
            ("test", groups[:test]),
            ("val", groups[test : test + val]),
            ("train", groups[test + val :]),
        ):
            splits[split].extend(candidate for copies in part for candidate in copies)
    return splits


def without_leaks(splits: Splits, tell: Tell) -> Splits:
    """Leave out of `train` what is also in `val` or `test`, and out of `val` what is in `test`."""
    kept: Splits = {}
    taken: set[str] = set()
    for split in reversed(SPLITS):
        candidates = splits.get(split, [])
        kept[split] = [each for each in candidates if each.sha256 not in taken]
        if leaked := len(candidates) - len(kept[split]):
            tell(f"{leaked} images of {split} are also held out, byte by byte: not used in {split}")
        taken |= {each.sha256 for each in candidates}
    return kept


def _check_classes(name: str, classes: tuple[str, ...], splits: Splits, tell: Tell) -> None:
    learned = {candidate.label for candidate in splits["train"]}
    if len(learned) < 2:
        raise Problem(f"{name}: images of one class only: there is nothing to tell apart")
    for label, each in enumerate(classes):
        if label not in learned:
            tell(f"{each}: no image to learn from")
