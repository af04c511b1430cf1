"""`edgelab convert`: a model in other precisions, each examined by the quantisation doctor.

A detector or a classifier becomes a file a precision, a SmolVLM the three ONNX files that are asked
without torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgelab.catalogue import Catalogue, ClassifierProfile
from edgelab.cli.dataset_options import named_images
from edgelab.cli.tasks.train import named_labelled
from edgelab.converting import default_name, vlm_name
from edgelab.home import Home
from edgelab.machine import usable_cores
from edgelab.naming import checkpoint_named, is_checkpoint, model_named
from edgelab.problem import Problem
from edgelab.schema import convert
from edgelab.settings.common import VLM_FILE_PRECISIONS
from edgelab.settings.convert import Activations, Calibration, ConvertSettings
from edgelab.settings.convert_vlm import ConvertVlmSettings

HELP = "a detector, a classifier or a SmolVLM in other precisions"

_OF_FILES = ("dataset", "images", "split", "image_size")


def add_options(command: argparse.ArgumentParser) -> None:
    """The model, precisions, data, and how integers are chosen."""
    command.add_argument(
        "model", metavar="MODEL",
        help="a name, an .onnx, .pt, .pth or .safetensors file; a SmolVLM's name, hub id or folder",
    )  # fmt: skip
    command.add_argument(
        "--precision", nargs="+", action="extend", choices=[*map(str, VLM_FILE_PRECISIONS)],
        metavar="P",
        help="fp32, fp16, int8, q4 (SmolVLM); several (default fp16 int8, of a SmolVLM "
        "fp32 int8 q4)",
    )  # fmt: skip
    command.add_argument("--revision", metavar="REV", help="the commit of a hub's repository")
    command.add_argument(
        "--dataset", metavar="D",
        help="what calibrates and checks: a name, a folder of images, a COCO .json (with "
        "--images), a dataset .yaml (default: that of the model's profile)",
    )  # fmt: skip
    command.add_argument("--images", metavar="DIR", help="the image folder of a COCO .json")
    command.add_argument(
        "--split", metavar="NAME",
        help="of the dataset (default: images that a run over it does not evaluate)",
    )  # fmt: skip
    command.add_argument(
        "--method", choices=[each.value for each in Calibration], metavar="M",
        default=Calibration.MINMAX.value, help="of calibration: minmax, entropy or percentile",
    )  # fmt: skip
    command.add_argument(
        "--activations", choices=[each.value for each in Activations], metavar="A",
        default=Activations.AUTO.value, help="u8, s8, or auto: the faster of both here",
    )  # fmt: skip
    command.add_argument("--image-size", type=int, metavar="PX", help="for models of any size")
    command.add_argument("--calibration-images", type=int, default=100, metavar="N")
    command.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    command.add_argument(
        "--name", metavar="NAME", help="what the outcome is called (default: as the model)"
    )


def settings(
    options: argparse.Namespace, catalogue: Catalogue
) -> tuple[ConvertSettings | ConvertVlmSettings, str]:
    """The settings and the title of the run; raises Problem naming the option."""
    if is_checkpoint(options.model, catalogue):
        return _vlm_settings(options, catalogue)
    model = model_named(options.model, catalogue)
    raw = {
        "task": "convert",
        "model": model,
        "name": options.name or default_name(model, catalogue, Home.default()),
        **_data(options, model, catalogue),
        "split": options.split,
        "precisions": options.precision or ["fp16", "int8"],
        "method": options.method,
        "activations": options.activations,
        "image_size": options.image_size,
        "calibration_images": options.calibration_images,
        "threads": options.threads if options.threads is not None else usable_cores(),
    }
    chosen = convert(raw, ConvertSettings, "convert")
    return chosen, chosen.title


def _vlm_settings(
    options: argparse.Namespace, catalogue: Catalogue
) -> tuple[ConvertVlmSettings, str]:
    for name in _OF_FILES:
        if getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise Problem(f"{option}: {options.model} is no detector and no classifier")
    model = checkpoint_named(options.model, catalogue)
    raw = {
        "task": "convert-vlm",
        "model": model,
        "revision": options.revision,
        "name": options.name or vlm_name(model),
        "threads": options.threads if options.threads is not None else usable_cores(),
    }
    if options.precision:
        raw["precisions"] = options.precision
    return convert(raw, ConvertVlmSettings, "convert"), f"convert {Path(model).name}"


def _data(options: argparse.Namespace, model: str, catalogue: Catalogue) -> dict[str, object]:
    entry = catalogue.model(model)
    profile = entry.require() if entry is not None else None
    if options.dataset is not None:
        labelled = isinstance(profile, ClassifierProfile)
        return (named_labelled if labelled else named_images)(options, catalogue)
    known = profile.dataset if profile is not None else None
    if known is None:
        raise Problem(
            "--dataset: choose one; its images calibrate int8, and the outcome is checked on them"
        )
    return {"dataset": known}
