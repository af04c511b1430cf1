"""What a run's readers are told of its data."""

from __future__ import annotations

from collections.abc import Sequence

from edgelab.records import DatasetFacts
from runners.datasets.dataset import Dataset
from runners.step import RunningStep, now


def tell_dataset(
    step: RunningStep, dataset: Dataset, classes: Sequence[str], questions: int | None = None
) -> None:
    """Its warnings, then its facts; `classes` are those that are counted."""
    for warning in dataset.warnings:
        step.warning(warning)
    step.event(
        DatasetFacts(
            t=now(),
            name=dataset.name,
            split=dataset.split,
            images=len(dataset.samples),
            classes=tuple(classes),
            has_truth=dataset.has_truth,
            sha256=dataset.fingerprint(),
            objects=dataset.objects,
            questions=questions,
        )
    )
