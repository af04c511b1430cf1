"""What is learned and asked: images with questions and answers, in three splits without leaks."""

from __future__ import annotations

import csv
import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab.catalogue import Catalogue, GeneratedDataset
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.finetune import FinetuneSettings
from runners.datasets import charts
from runners.datasets.dataset import Sample, sample_at, sample_inside
from runners.datasets.folder import images_in
from runners.finetuning.prompts import Prompts
from runners.images import ImageProblem, decode_image, read_regular_file

VERSION = 1
SPLITS = ("train", "val", "test")

Tell = Callable[[str], None]
Drawn = Callable[[str, int, int], None]
"""Is told of generated data: the split, images drawn, images in all."""


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


@dataclass
class _Candidate:
    """What is asked of one image file, before it was read."""

    sample: Sample
    asked: list[Asked] = field(default_factory=list)
    sha256: str = ""

    @property
    def label(self) -> int | None:
        """The image's class."""
        return self.asked[0].label


Splits = dict[str, list[_Candidate]]


def collect(
    settings: FinetuneSettings, prompts: Prompts, home: Home, tell: Tell, drawn: Drawn
) -> TaskData:
    """Read the data set, look at each image, split what has no splits, and keep splits apart.

    `tell` is told what was left out and why. Raises Problem where too little is left.
    """
    name, classes, splits = _open(
        settings.dataset, settings.images, prompts, Catalogue(home), home, drawn
    )
    if WHOLE in splits:
        whole = _readable(splits.pop(WHOLE), tell)
        splits = split_apart(_without_contradictions(whole, tell), settings, tell)
        splits = {split: _some(each, settings) for split, each in splits.items()}
    else:
        splits = {s: _readable(_some(each, settings), tell) for s, each in splits.items()}
    splits = without_leaks(splits, tell)
    for split in ("train", "test"):
        if not splits[split]:
            raise Problem(f"{settings.dataset}: no image is left in the {split} split")
    if prompts.learns == "class":
        _check_classes(settings.dataset, classes, splits, tell)
    asked = {
        split: tuple(
            question for candidate in splits.get(split, ()) for question in candidate.asked
        )
        for split in SPLITS
    }
    hashes = [[(c.sha256, c.asked) for c in splits.get(split, ())] for split in SPLITS]
    content = msgspec.json.encode((classes, prompts, hashes))
    return TaskData(VERSION, name, classes, prompts, asked, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class AskedSplit:
    """One split as it is: nothing was looked at, and nothing left out."""

    name: str
    split: str
    classes: tuple[str, ...]
    asked: tuple[Asked, ...]


def asked_split(
    dataset: str, images: str | None, split: str | None, prompts: Prompts, home: Home, drawn: Drawn
) -> AskedSplit:
    """All that is asked of a split, by default of the test split; of data without splits, all.

    Raises Problem where there are no such data.
    """
    name, classes, splits = _open(dataset, images, prompts, Catalogue(home), home, drawn)
    chosen = WHOLE if WHOLE in splits and split is None else split or "test"
    if chosen not in splits:
        raise Problem(f"{dataset}: no split {chosen!r}, it has {', '.join(splits)}")
    asked = (question for candidate in splits[chosen] for question in candidate.asked)
    return AskedSplit(name, chosen, classes, tuple(asked))


WHOLE = "whole"

_Opened = tuple[str, tuple[str, ...], Splits]


def _open(
    dataset: str,
    images: str | None,
    prompts: Prompts,
    catalogue: Catalogue,
    home: Home,
    drawn: Drawn,
) -> _Opened:
    entry = catalogue.dataset(dataset)
    if entry is not None:
        profile = entry.require()
        if isinstance(profile, GeneratedDataset):
            if profile.generator != "charts":
                raise Problem(f"{entry.name}: has neither classes of images nor questions")
            return _charts(entry.name, entry.path, home, prompts, drawn)
        path = entry.path.parent / Path(profile.path).expanduser()
        return _at_path(path, entry.name, profile.images, prompts)
    path = Path(dataset).expanduser()
    return _at_path(path, path.stem, images, prompts)


def _at_path(path: Path, name: str, images: str | None, prompts: Prompts) -> _Opened:
    if path.is_dir():
        if prompts.learns == "answer":
            raise Problem(
                f"{path}: a folder has no questions: a .csv of image, question, answer has"
            )
        return _folder(path, name)
    if path.suffix.lower() == ".csv":
        return _csv(path, name, Path(images).expanduser() if images else path.parent, prompts)
    raise Problem(f"{path}: expected charts, a folder with a folder a class, or a .csv")


def _charts(name: str, file: Path, home: Home, prompts: Prompts, drawn: Drawn) -> _Opened:
    profile = charts.read_profile(file)
    splits: Splits = {}
    classes: tuple[str, ...] = ()
    for split in charts.SPLITS:

        def on_image(done: int, total: int, split: str = split) -> None:
            drawn(split, done, total)

        folder = charts.ensure_split(profile, split, home.datasets, on_image)
        held = charts.read_file(folder)
        classes = held.classes
        splits[split] = [
            _of_chart(each, classes, folder / "images", prompts) for each in held.images
        ]
    return name, classes if prompts.learns == "class" else (), splits


def _of_chart(
    chart: charts.ChartImage, classes: tuple[str, ...], images: Path, prompts: Prompts
) -> _Candidate:
    sample = sample_inside(images, chart.file_name)
    path = str(sample.path)
    if prompts.learns == "class":
        label = classes[chart.label]
        return _Candidate(sample, [Asked(path, sample.name, "", label, label, chart.label)])
    return _Candidate(
        sample,
        [Asked(path, sample.name, q.question, q.answer, q.kind) for q in chart.questions],
    )


def _folder(folder: Path, name: str) -> _Opened:
    """A folder a class; those without images are named, later, as classes without any."""
    classes = tuple(
        sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    )
    candidates = []
    for label, each in enumerate(classes):
        for path in images_in(folder / each):
            sample = sample_at(path, str(path.relative_to(folder)))
            candidates.append(
                _Candidate(sample, [Asked(str(path), sample.name, "", each, each, label)])
            )
    if not candidates:
        raise Problem(f"{folder}: no folder in it holds images")
    return name, classes, {WHOLE: candidates}


def _csv(path: Path, name: str, images: Path, prompts: Prompts) -> _Opened:
    rows = _csv_rows(path, prompts)
    by_class = prompts.learns == "class"
    classes = tuple(sorted({row["answer"] for row in rows})) if by_class else ()
    found: dict[str, _Candidate] = {}
    for row in rows:
        sample = sample_inside(images, row["image"])
        label = classes.index(row["answer"]) if by_class else None
        question = "" if by_class else row["question"]
        candidate = found.setdefault(sample.name, _Candidate(sample))
        kind = row["answer"] if by_class else ""
        candidate.asked.append(
            Asked(str(sample.path), sample.name, question, row["answer"], kind, label)
        )
    return name, classes, {WHOLE: list(found.values())}


def _csv_rows(path: Path, prompts: Prompts) -> list[dict[str, str]]:
    wanted = ("image", "answer") if prompts.learns == "class" else ("image", "question", "answer")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [each for each in wanted if each not in (reader.fieldnames or ())]
            if missing:
                raise Problem(f"{path}: no column {missing[0]!r}, expected {', '.join(wanted)}")
            rows = []
            for row in reader:
                empty = next((each for each in wanted if not (row[each] or "").strip()), None)
                if empty is not None:
                    raise Problem(f"{path}:{reader.line_num}: {empty} is empty")
                rows.append({each: row[each].strip() for each in wanted})
    except (csv.Error, UnicodeDecodeError) as error:
        raise Problem(f"{path}: not a CSV file in UTF-8 ({error})") from None
    if not rows:
        raise Problem(f"{path}: no rows")
    return rows


def _some(candidates: list[_Candidate], settings: FinetuneSettings) -> list[_Candidate]:
    """As many as the run's limit, chosen by the seed: the first ones could be of one class."""
    if settings.limit is None or len(candidates) <= settings.limit:
        return candidates
    chooser = random.Random(settings.schedule.seed)  # noqa: S311 - a choice, not a secret
    chosen = sorted(chooser.sample(range(len(candidates)), settings.limit))
    return [candidates[index] for index in chosen]


def _readable(candidates: list[_Candidate], tell: Tell) -> list[_Candidate]:
    """Those whose images decode, with their content hashed; the others are named."""
    kept = []
    for candidate in candidates:
        try:
            candidate.sha256 = _look_at(candidate.sample)
        except ImageProblem as problem:
            tell(f"{candidate.sample.name}: {problem}: left out")
        else:
            kept.append(candidate)
    return kept


def _look_at(sample: Sample) -> str:
    if sample.path is None:
        raise ImageProblem(sample.problem or "no file")
    try:
        content = read_regular_file(sample.path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageProblem(f"cannot be read ({reason})") from None
    decode_image(content)
    return hashlib.sha256(content).hexdigest()


def _by_content(candidates: Iterable[_Candidate]) -> dict[str, list[_Candidate]]:
    groups: dict[str, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.sha256].append(candidate)
    return groups


def _without_contradictions(candidates: list[_Candidate], tell: Tell) -> list[_Candidate]:
    """Without images that are there more than once, byte by byte, in different classes."""
    kept = []
    for copies in _by_content(candidates).values():
        labels = {asked.label for each in copies for asked in each.asked}
        if len(labels) > 1:
            names = ", ".join(sorted(each.sample.name for each in copies))
            answers = ", ".join(sorted({a.answer for each in copies for a in each.asked}))
            tell(f"one image in different classes ({answers}), left out: {names}")
        else:
            kept.extend(copies)
    return kept


def split_apart(candidates: Sequence[_Candidate], settings: FinetuneSettings, tell: Tell) -> Splits:
    """Split by class and by the seed; images of the same content stay together.

    A class of fewer than three different images is trained on only.
    """
    by_class: dict[int | None, list[list[_Candidate]]] = defaultdict(list)
    for copies in _by_content(candidates).values():
        by_class[copies[0].label].append(copies)
    splits: Splits = {split: [] for split in SPLITS}
    for label in sorted(by_class, key=lambda each: -1 if each is None else each):
        groups = by_class[label]
        chooser = random.Random(f"{settings.schedule.seed} {label}")  # noqa: S311 - no secret
        chooser.shuffle(groups)
        if len(groups) < len(SPLITS):
            tell(f"{groups[0][0].asked[0].answer}: {len(groups)} images, none are held out")
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
