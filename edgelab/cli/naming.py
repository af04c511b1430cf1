"""Models and datasets as the command line names them: by their name, or by a path."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from edgelab import words
from edgelab.catalogue import Catalogue
from edgelab.problem import Problem

DETECTORS = (".onnx", ".pt", ".pth", ".safetensors")
"""What a detector can be run from; all but the first need torch once, to be exported."""


def dataset_options(command: argparse.ArgumentParser) -> None:
    """Which data a run is over."""
    command.add_argument(
        "--dataset",
        required=True,
        metavar="D",
        help="a name, a folder of images, a COCO .json (with --images), a dataset .yaml",
    )
    command.add_argument("--images", metavar="DIR", help="the image folder of a COCO .json")
    command.add_argument("--split", metavar="NAME", help="which split of the dataset")
    command.add_argument("--classes", metavar="A,B", help="count these classes only")
    command.add_argument(
        "--per-class", type=int, metavar="N", help="up to N images a class, that hold the class"
    )
    command.add_argument("--seed", type=int, metavar="N", help="which images those are (default 0)")


def named_dataset(options: argparse.Namespace, catalogue: Catalogue) -> dict[str, object]:
    """The settings that `dataset_options` gives, by name; raises Problem naming the option."""
    return {
        **named_images(options, catalogue),
        "split": options.split,
        "classes": class_names(options.classes),
        "per_class": options.per_class,
        "subset_seed": options.seed,
    }


def named_images(options: argparse.Namespace, catalogue: Catalogue) -> dict[str, object]:
    """`--dataset` and `--images`, as the settings of most tasks have them.

    A name as it is, paths made absolute; raises Problem naming the option.
    """
    datasets = [entry.name for entry in catalogue.datasets()]
    if options.images and options.dataset in datasets:
        raise Problem(f"--images: the dataset {options.dataset} has its own; leave it out")
    return {
        "dataset": named_or_path(options.dataset, datasets, "dataset"),
        "images": str(Path(options.images).absolute()) if options.images else None,
    }


def class_names(given: str | None) -> list[str] | None:
    """The names between commas; None where nothing was given."""
    return None if given is None else [name.strip() for name in given.split(",")]


def model_named(given: str, catalogue: Catalogue, suffixes: Collection[str] = DETECTORS) -> str:
    """A name of the catalogue as it is, the path of a file of these kinds made absolute.

    Raises Problem.
    """
    models = [entry.name for entry in catalogue.models()]
    model = named_or_path(given, models, "model")
    if model not in models and Path(model).suffix.lower() not in suffixes:
        expected = " or ".join(suffixes)
        raise Problem(f"--model {words.plain(given)}: not an {expected} file")
    return model


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
        f"--model {words.plain(given)}: neither a name ({names}), nor a folder, nor a hub id "
        "(owner/name)"
    )


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
        raise Problem(f"--{kind}: the path is not valid UTF-8: rename it") from None
    path = Path(given).expanduser()
    if not path.exists():
        near = get_close_matches(given, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"see edgelab {kind}s"
        raise Problem(f"--{kind} {words.plain(given)}: neither a name nor a path; {hint}")
    return str(path.absolute())
