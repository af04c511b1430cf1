"""The options that say which data a run is over, and what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgelab.catalogue import Catalogue
from edgelab.naming import dataset_named
from edgelab.problem import Problem


def dataset_options(command: argparse.ArgumentParser) -> None:
    """Which data a run is over."""
    command.add_argument(
        "--dataset",
        required=True,
        metavar="D",
        help="a name, a folder of images, a COCO .json (with --images), a dataset .yaml, a .csv",
    )
    command.add_argument(
        "--images", metavar="DIR", help="the image folder of a COCO .json or of questions"
    )
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
    """The settings that --dataset and --images give, by name; raises Problem."""
    if options.images and catalogue.dataset(options.dataset) is not None:
        raise Problem(f"--images: the dataset {options.dataset} has its own; leave it out")
    return {
        "dataset": dataset_named(options.dataset, catalogue),
        "images": str(Path(options.images).absolute()) if options.images else None,
    }


def class_names(given: str | None) -> list[str] | None:
    """The names between commas; None where nothing was given."""
    return None if given is None else [name.strip() for name in given.split(",")]
