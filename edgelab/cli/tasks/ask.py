"""`edgelab run ask`: a vision-language model, asked about the images of a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from edgelab.catalogue import Catalogue
from edgelab.cli.dataset_options import dataset_options
from edgelab.cli.tasks.detect import measured, measuring_options
from edgelab.naming import checkpoint_named, prompts_named
from edgelab.presets import KINDS
from edgelab.problem import Problem
from edgelab.schema import convert
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Language, Precision

HELP = "a vision-language model, asked about images"

_PRECISIONS = [each.value for each in Precision]


def add_options(command: argparse.ArgumentParser) -> None:
    """Model, data, prompt, precisions, and how it is measured."""
    command.add_argument(
        "--model", required=True, metavar="M", help="a name, a hub id or a checkpoint's folder"
    )
    command.add_argument("--revision", metavar="REV", help="the commit of the hub's repository")
    dataset_options(command)
    command.add_argument(
        "--ask", choices=list(KINDS), default="count", dest="kind", metavar="WHAT",
        help="count (of each class), classify, describe, or question (those of a .csv)",
    )  # fmt: skip
    command.add_argument(
        "--prompts", metavar="NAME", help="a prompts' profile or .toml file instead of --ask's"
    )
    command.add_argument("--prompt", metavar="NAME", help="which of its prompts")
    command.add_argument(
        "--language", choices=get_args(Language), default="en", metavar="L", help="en or pt"
    )
    command.add_argument(
        "--precision", action="append", choices=_PRECISIONS, metavar="P",
        help=f"{', '.join(_PRECISIONS)}; may be given again (default fp32)",
    )  # fmt: skip
    command.add_argument("--max-new-tokens", type=int, metavar="N", help="of an answer")
    command.add_argument(
        "--max-pixels", type=int, metavar="N", help="of an image, for Qwen2-VL and SmolVLM"
    )
    command.add_argument("--tiling", action="store_true", help="SmolVLM sees tiles, too")
    command.add_argument(
        "--no-sharing", action="store_true", help="encode the image anew for every question"
    )
    measuring_options(command)
    command.set_defaults(warmup=1)


def settings(options: argparse.Namespace, catalogue: Catalogue) -> tuple[AskSettings, str]:
    """The settings and the title of the run; raises Problem naming the option."""
    kind = KINDS[options.kind]
    if options.prompts is not None and options.prompt is None:
        raise Problem("--prompts: --prompt must say which of them")
    raw = {
        "task": "ask",
        "model": checkpoint_named(options.model, catalogue),
        "revision": options.revision,
        **measured(options, catalogue),
        "prompts": prompts_named(options.prompts or kind.prompts),
        "prompt": options.prompt or kind.prompt,
        "language": options.language,
        "precisions": options.precision or [Precision.FP32],
        "max_new_tokens": options.max_new_tokens or kind.max_new_tokens,
        "max_pixels": options.max_pixels,
        "tiling": options.tiling,
        "share_encoding": not options.no_sharing,
    }
    chosen = convert(raw, AskSettings, "run ask")
    return chosen, f"{Path(chosen.model).name} asked about {Path(chosen.dataset).stem}"
