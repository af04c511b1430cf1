"""Models and datasets as people name them: a name of the catalogue, a path, the id of a hub."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from edgelab import words
from edgelab.catalogue import DIGITS, Catalogue
from edgelab.problem import Problem
from edgelab.spec import Settings

DETECTORS = (".onnx", ".pt", ".pth", ".safetensors")
"""What a detector can be run from; all but the first need torch once, to be exported."""
CHECKPOINT_TASKS = frozenset({"ask", "convert-vlm", "finetune"})
"""Their models are checkpoints: folders, or repositories of a hub."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

TRAINING = "train"
"""Its models are architectures, which its runner knows."""


def model_of_task(task: str, given: str, catalogue: Catalogue) -> str:
    """The model of a run of that task; raises Problem."""
    if task == TRAINING:
        return given
    if task in CHECKPOINT_TASKS:
        return checkpoint_named(given, catalogue)
    return named_or_path(given, [entry.name for entry in catalogue.models()], "model")


def must_be_known(settings: Settings, catalogue: Catalogue) -> None:
    """Raise Problem where the model or the dataset of a run is neither a name nor there."""
    model_of_task(settings.task, settings.model, catalogue)
    if settings.task != TRAINING:
        dataset_named(settings.dataset, catalogue)


def dataset_named(given: str, catalogue: Catalogue) -> str:
    """A name of the catalogue, or `digits`, as it is, a path made absolute; raises Problem."""
    if given == DIGITS and not Path(given).exists():
        return given
    return named_or_path(given, [entry.name for entry in catalogue.datasets()], "dataset")


def model_named(given: str, catalogue: Catalogue, suffixes: Collection[str] = DETECTORS) -> str:
    """A name of the catalogue as it is, the path of a file of these kinds made absolute.

    Raises Problem.
    """
    models = [entry.name for entry in catalogue.models()]
    model = named_or_path(given, models, "model")
    if model not in models and Path(model).suffix.lower() not in suffixes:
        expected = " or ".join(suffixes)
        raise Problem(f"model {words.plain(given)}: not an {expected} file")
    return model


def is_checkpoint(given: str, catalogue: Catalogue) -> bool:
    """Whether it is a model that is asked: its name, a folder, or a hub id; no detector's name."""
    if catalogue.model(given) is not None:
        return False
    path = Path(given).expanduser()
    return catalogue.hub_model(given) is not None or path.is_dir() or _is_hub_id(given, path)


def _is_hub_id(given: str, path: Path) -> bool:
    """owner/name, where no file of that name lies here and it does not begin as a path."""
    return (
        given.count("/") == 1
        and not given.startswith((".", "/", "~"))
        and not path.exists()
        and path.suffix.lower() not in DETECTORS
    )


def checkpoint_named(given: str, catalogue: Catalogue) -> str:
    """A name of the catalogue or a hub id as it is, a checkpoint's folder made absolute.

    Raises Problem.
    """
    if catalogue.hub_model(given) is not None:
        return given
    path = Path(given).expanduser()
    if path.is_dir():
        return str(path.absolute())
    if given.count("/") == 1 and not given.startswith((".", "/", "~")):
        return given
    names = ", ".join(entry.name for entry in catalogue.hub_models())
    raise Problem(
        f"model {words.plain(given)}: neither a name ({names}), nor a folder, nor a hub id "
        "(owner/name)"
    )


def must_be_a_name(name: str) -> None:
    """Raise Problem where it cannot be a profile's own name, which is a file's and is typed."""
    if not _NAME.fullmatch(name):
        raise Problem(f"name = {name[:80]!r}: small letters, digits, - and _ only")


def prompts_named(given: str) -> str:
    """A name of prompts as it is, a file's path made absolute."""
    return str(Path(given).expanduser().absolute()) if given.endswith(".toml") else given


def named_or_path(given: str, names: list[str], kind: str) -> str:
    """`given` where it is one of the names, else its path made absolute; raises Problem."""
    if given in names:
        return given
    try:
        given.encode()
    except UnicodeEncodeError:
        raise Problem(f"{kind}: the path is not valid UTF-8: rename it") from None
    path = Path(given).expanduser()
    if not path.exists():
        near = get_close_matches(given, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"see edgelab {kind}s"
        raise Problem(f"{kind} {words.plain(given)}: neither a name nor a path; {hint}")
    return str(path.absolute())
