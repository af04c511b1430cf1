"""`edgelab run detect`: a detector on a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgelab.catalogue import Catalogue
from edgelab.cli.dataset_options import dataset_options, named_dataset
from edgelab.machine import usable_cores
from edgelab.naming import model_named
from edgelab.schema import convert
from edgelab.settings.common import DETECTOR_PRECISIONS, Order, Precision, Scenario
from edgelab.settings.detect import DetectSettings

HELP = "a detector on a dataset"


def add_options(command: argparse.ArgumentParser) -> None:
    """Model, data, precisions, thresholds, and how it is measured."""
    command.add_argument(
        "--model", required=True, metavar="M", help="a name, or an .onnx, .pt or .pth file"
    )
    dataset_options(command)
    command.add_argument(
        "--precision", action="append", choices=[*map(str, DETECTOR_PRECISIONS)], metavar="P",
        help="fp32, fp16 or int8; may be given again (default fp32)",
    )  # fmt: skip
    command.add_argument(
        "--threshold", action="append", type=float, metavar="T",
        help="score threshold; may be given again (default 0.3 0.5 0.7)",
    )  # fmt: skip
    command.add_argument("--iou", type=float, help="IoU of the NMS (default: the model's)")
    measuring_options(command)
    command.add_argument("--image-size", type=int, metavar="PX", help="for models of any size")
    command.add_argument(
        "--calibration-images", type=int, default=100, metavar="N", help="for int8"
    )


def measuring_options(command: argparse.ArgumentParser) -> None:
    """How any model is measured, image by image."""
    command.add_argument(
        "--scenario", choices=[each.value for each in Scenario], metavar="S",
        default=Scenario.SINGLE_STREAM.value, help="single-stream or offline",
    )  # fmt: skip
    command.add_argument(
        "--warmup", type=int, default=5, metavar="N", help="images before it counts"
    )
    command.add_argument(
        "--repetitions", type=int, default=1, metavar="N", help="times over the data"
    )
    command.add_argument(
        "--order", choices=[each.value for each in Order], default=Order.GIVEN.value, metavar="O",
        help="of the precisions: given, random, or abba (there and back, each measured twice)",
    )  # fmt: skip
    command.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    command.add_argument("--limit", type=int, metavar="N", help="the first N images only")


def measured(options: argparse.Namespace, catalogue: Catalogue) -> dict[str, object]:
    """The settings that `dataset_options` and `measuring_options` give, by name."""
    return {**named_dataset(options, catalogue), **how_measured(options)}


def how_measured(options: argparse.Namespace) -> dict[str, object]:
    """The settings that `measuring_options` gives, by name."""
    return {
        "threads": options.threads if options.threads is not None else usable_cores(),
        "scenario": options.scenario,
        "warmup": options.warmup,
        "repetitions": options.repetitions,
        "order": options.order,
        "limit": options.limit,
    }


def settings(options: argparse.Namespace, catalogue: Catalogue) -> tuple[DetectSettings, str]:
    """The settings and the title of the run; raises Problem naming the option."""
    raw = {
        "task": "detect",
        "model": model_named(options.model, catalogue),
        **measured(options, catalogue),
        "precisions": options.precision or [Precision.FP32],
        "thresholds": options.threshold or [0.3, 0.5, 0.7],
        "iou": options.iou,
        "image_size": options.image_size,
        "calibration_images": options.calibration_images,
    }
    chosen = convert(raw, DetectSettings, "run detect")
    return chosen, f"{Path(chosen.model).stem} on {Path(chosen.dataset).stem}"
