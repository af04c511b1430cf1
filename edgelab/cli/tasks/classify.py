"""`edgelab run classify`: a classifier on labelled images."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgelab.catalogue import Catalogue
from edgelab.cli.tasks.detect import how_measured, measuring_options
from edgelab.cli.tasks.train import labelled_options, named_labelled
from edgelab.naming import model_named
from edgelab.schema import convert
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision

HELP = "a classifier on labelled images"


def add_options(command: argparse.ArgumentParser) -> None:
    """Model, data, precisions, and how it is measured."""
    command.add_argument("--model", required=True, metavar="M", help="a name or an .onnx file")
    labelled_options(command)
    command.add_argument(
        "--split", metavar="NAME", help="train, val, test (the default), or all of them"
    )
    command.add_argument(
        "--precision", action="append", choices=[*map(str, DETECTOR_PRECISIONS)], metavar="P",
        help="fp32, fp16 or int8; may be given again (default fp32)",
    )  # fmt: skip
    for option in ("--val-share", "--test-share"):
        command.add_argument(
            option, type=float, metavar="X",
            help="of data without splits (default: as the model was trained)",
        )  # fmt: skip
    command.add_argument(
        "--seed", type=int, metavar="N", help="of these splits (default: as the model was trained)"
    )
    measuring_options(command)
    command.add_argument(
        "--calibration-images", type=int, default=200, metavar="N", help="of val, for int8"
    )


def settings(options: argparse.Namespace, catalogue: Catalogue) -> tuple[ClassifySettings, str]:
    """The settings and the title of the run; raises Problem naming the option."""
    raw = {
        "task": "classify",
        "model": model_named(options.model, catalogue),
        **named_labelled(options, catalogue),
        "split": options.split,
        "precisions": options.precision or [Precision.FP32],
        "val_share": options.val_share,
        "test_share": options.test_share,
        "split_seed": options.seed,
        **how_measured(options),
        "calibration_images": options.calibration_images,
    }
    chosen = convert(raw, ClassifySettings, "run classify")
    return chosen, f"{Path(chosen.model).stem} on {Path(chosen.dataset).stem}"
