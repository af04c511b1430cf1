"""Which class of a dataset a class of a model is.

With annotations, counting is over the *dataset's* classes: truth and counts are keyed by their
indices. Predictions of classes that the dataset does not have are left out of the counts (nobody
annotated them), a class that the model does not know keeps its truth and is predicted 0 times.

Without annotations there is nothing to compare with: counts are keyed by the *model's* classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgelab.problem import Problem


@dataclass(frozen=True)
class ClassMap:
    """`counted`: names of the classes that are counted. `to_counted`: model class index -> counted
    class index, None where it is not counted."""

    counted: tuple[str, ...]
    to_counted: tuple[int | None, ...]
    unknown: tuple[str, ...] = ()
    """Counted classes that the model does not know."""


def map_classes(
    model: tuple[str, ...] | None,
    model_count: int | None,
    dataset: tuple[str, ...],
    has_truth: bool,
) -> tuple[tuple[str, ...], ClassMap]:
    """The model's class names, and how they map.

    `model`: the names in the model file, None where it has none; then `model_count`, the classes of
    its head, must be as many as the dataset's. Raises Problem where nothing can be compared.
    """
    names = model or _names_from(dataset, model_count, has_truth)
    if not has_truth:
        return names, ClassMap(names, tuple(range(len(names))))
    index_of = {_key(name): index for index, name in enumerate(dataset)}
    to_counted = tuple(index_of.get(_key(name)) for name in names)
    known = {index for index in to_counted if index is not None}
    if not known:
        raise Problem(
            f"the model and the dataset have no class in common: the model knows {_listed(names)}; "
            f"the dataset has {_listed(dataset)}"
        )
    unknown = tuple(name for index, name in enumerate(dataset) if index not in known)
    return names, ClassMap(dataset, to_counted, unknown)


def can_be_written(names: Iterable[str]) -> bool:
    """False where a name holds half a surrogate pair: journals are UTF-8."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        return False
    return True


def _names_from(
    dataset: tuple[str, ...], model_count: int | None, has_truth: bool
) -> tuple[str, ...]:
    if dataset and model_count in (None, len(dataset)):
        return dataset
    if has_truth:
        raise Problem(
            f"the model file names no classes and has {model_count} of them, but the dataset has "
            f"{len(dataset)}: export the model with its class names"
        )
    return tuple(f"class {index}" for index in range(model_count or 0))


def _key(name: str) -> str:
    return name.strip().casefold()


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
