"""`edgelab run train`: teach a classifier a labelled dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgelab.catalogue import Catalogue
from edgelab.machine import usable_cores
from edgelab.schema import convert
from edgelab.settings.train import ARCHITECTURES, TrainSettings

HELP = "teach a classifier a labelled dataset"

_NUMBERS = (
    ("--image-size", "PX", int, "a side of the square input (default 224)"),
    ("--patch-size", "PX", int, "a side of a transformer's patch (default 16)"),
    ("--epochs", "N", int, "at most (default 15)"),
    ("--patience", "N", int, "end after N epochs without a better one (default 5)"),
    ("--batch", "N", int, "images at once (default 32)"),
    ("--accumulate", "N", int, "batches a step of the optimiser (default 1)"),
    ("--learning-rate", "X", float, "at the start (default 3e-4)"),
    ("--weight-decay", "X", float, "of AdamW (default 0.01)"),
    ("--val-share", "X", float, "held out where the data have no splits (default 0.15)"),
    ("--test-share", "X", float, "measured on where the data have no splits (default 0.15)"),
    ("--limit", "N", int, "the first N images of each split only"),
    ("--seed", "N", int, "of weights, order and augmentation (default 0)"),
    ("--threads", "N", int, "default: all cores"),
    ("--processes", "N", int, "so many share each batch, a GPU each (default 1)"),
)
_AUGMENTATION = ("flip", "flip_vertical", "rotation", "jitter", "noise")


def add_options(command: argparse.ArgumentParser) -> None:
    """Architecture, data, how long and how fast, and how images are changed."""
    command.add_argument(
        "--model", required=True, metavar="M",
        help=f"{', '.join(ARCHITECTURES)}, or timm:<name>",
    )  # fmt: skip
    labelled_options(command)
    for option, metavar, kind, text in _NUMBERS:
        command.add_argument(option, type=kind, metavar=metavar, help=text)
    command.add_argument("--device", choices=["auto", "cpu", "cuda"])
    command.add_argument("--class-weights", action="store_true", help="rare classes weigh more")
    command.add_argument("--freeze-backbone", action="store_true", help="train the head only")
    command.add_argument("--no-pretrained", action="store_true", help="begin with random weights")
    command.add_argument("--full-precision", action="store_true", help="no mixed precision")
    command.add_argument("--tensorboard", action="store_true", help="write event files too")
    for name in _AUGMENTATION:
        option = f"--{name.replace('_', '-')}"
        command.add_argument(option, type=float, metavar="X", help="augmentation")


def labelled_options(command: argparse.ArgumentParser) -> None:
    """Which labelled images a run is over."""
    command.add_argument(
        "--dataset", required=True, metavar="D",
        help="a name, digits, a folder with a folder a class, a .csv, a COCO .json, IDX, parquet",
    )  # fmt: skip
    command.add_argument("--images", metavar="DIR", help="the image folder of a COCO .json")


def named_labelled(options: argparse.Namespace, catalogue: Catalogue) -> dict[str, object]:
    """The settings that `labelled_options` gives, by name."""
    known = [entry.name for entry in catalogue.datasets()]
    given = options.dataset
    local = given not in known and Path(given).expanduser().exists()
    return {
        "dataset": str(Path(given).expanduser().absolute()) if local else given,
        "images": str(Path(options.images).absolute()) if options.images else None,
    }


def settings(options: argparse.Namespace, catalogue: Catalogue) -> tuple[TrainSettings, str]:
    """The settings and the title of the run; raises Problem naming the option."""
    names = [option.removeprefix("--").replace("-", "_") for option, *_ in _NUMBERS]
    changes = {name: getattr(options, name) for name in _AUGMENTATION}
    raw = {
        "task": "train",
        "model": options.model,
        **named_labelled(options, catalogue),
        **{name: getattr(options, name) for name in names if getattr(options, name) is not None},
        "threads": options.threads if options.threads is not None else usable_cores(),
        "augmentation": {name: value for name, value in changes.items() if value is not None},
        "device": options.device or "auto",
        "class_weights": options.class_weights,
        "freeze_backbone": options.freeze_backbone,
        "pretrained": not options.no_pretrained,
        "mixed_precision": not options.full_precision,
        "tensorboard": options.tensorboard,
    }
    chosen = convert(raw, TrainSettings, "run train")
    return chosen, chosen.title
