"""Sub-datasets a class: which classes of a dataset are counted, and over which images.

A class's sub-dataset holds images with at least one object of that class, not of a crowd: the
detector study that the lab repeats chose its images so. Images that several classes chose are run
once and count for each of these.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

from edgelab.problem import Problem
from runners.datasets.dataset import Dataset, Sample


def of_classes(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Count these classes only, in this order; images stay all. Raises Problem for unknown ones."""
    if not dataset.has_truth:
        raise Problem(f"{dataset.name}: has no annotations: leave classes and per-class out")
    index_of = {name.casefold(): index for index, name in enumerate(dataset.classes)}
    unknown = [name for name in names if name.casefold() not in index_of]
    if unknown:
        raise Problem(
            f"{dataset.name}: classes: {', '.join(unknown)}: not among its classes: "
            f"{', '.join(dataset.classes[:100])}"
        )
    new = {index_of[name.casefold()]: position for position, name in enumerate(names)}
    samples = tuple(_renumbered(sample, new) for sample in dataset.samples)
    ids = tuple(dataset.coco_ids[index] for index in new) if dataset.coco_ids else ()
    return replace(dataset, classes=names, samples=samples, coco_ids=ids)


def per_class(dataset: Dataset, most: int, seed: int) -> Dataset:
    """Sub-datasets of up to `most` images a class, drawn by `seed` among those that hold it.

    A class's images depend on its name, the seed and the data, not on the other classes chosen.
    """
    if not dataset.has_truth:
        raise Problem(f"{dataset.name}: has no annotations: leave classes and per-class out")
    chosen: defaultdict[int, list[int]] = defaultdict(list)
    warnings = list(dataset.warnings)
    for index, name in enumerate(dataset.classes):
        holding = [
            place for place, sample in enumerate(dataset.samples) if (sample.truth or {}).get(index)
        ]
        if not holding:
            warnings.append(f"no image holds a {name}: its sub-dataset is empty")
        order = random.Random(f"{seed} {name}")  # noqa: S311 - a choice, not a secret
        for place in order.sample(holding, min(most, len(holding))):
            chosen[place].append(index)
    if not chosen:
        raise Problem(f"{dataset.name}: no image holds any of: {', '.join(dataset.classes)}")
    samples = tuple(
        replace(dataset.samples[place], evaluated=tuple(chosen[place])) for place in sorted(chosen)
    )
    return replace(dataset, samples=samples, warnings=tuple(warnings))


def _renumbered(sample: Sample, new: dict[int, int]) -> Sample:
    truth = sample.truth
    boxes = sample.boxes
    return replace(
        sample,
        truth=None if truth is None else {new[i]: n for i, n in truth.items() if i in new},
        boxes=None
        if boxes is None
        else tuple(box._replace(label=new[box.label]) for box in boxes if box.label in new),
    )
