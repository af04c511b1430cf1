"""`edgelab run finetune`: LoRA adapters for a vision-language model."""

from __future__ import annotations

import argparse

from edgelab.catalogue import Catalogue
from edgelab.cli.dataset_options import named_images
from edgelab.machine import usable_cores
from edgelab.naming import checkpoint_named, prompts_named
from edgelab.schema import convert
from edgelab.settings.finetune import BasePrecision, FinetuneSettings, Lora, Part, Schedule

HELP = "LoRA adapters for a vision-language model"

_LORA, _SCHEDULE = Lora(), Schedule()
_PARTS = [each.value for each in Part]
_PRECISIONS = [each.value for each in BasePrecision]


def add_options(command: argparse.ArgumentParser) -> None:
    """Model, data and prompts; where the adapters sit; how is trained."""
    command.add_argument(
        "--model", required=True, metavar="M", help="a name, a hub id or a checkpoint's folder"
    )
    command.add_argument("--revision", metavar="REV", help="the commit of the hub's repository")
    command.add_argument(
        "--dataset", required=True, metavar="D",
        help="a name; classes: digits, a folder, a .csv, COCO, IDX, parquet; questions: a .csv",
    )  # fmt: skip
    command.add_argument(
        "--images", metavar="DIR", help="where the paths of a .csv or a COCO .json begin"
    )
    command.add_argument(
        "--prompts", default="chart-classification", metavar="NAME",
        help="the prompts' profile (chart-classification, chart-questions) or .toml file",
    )  # fmt: skip
    command.add_argument(
        "--prompt", default="second", metavar="NAME", help="the prompt that is learned"
    )
    command.add_argument(
        "--no-zero-shot", action="store_true", help="do not ask the untouched model first"
    )
    command.add_argument(
        "--lora", default=Part.LLM.value, metavar="PARTS", help="some of llm,vision,projector"
    )
    command.add_argument("--rank", type=int, default=_LORA.rank, metavar="N")
    command.add_argument("--alpha", type=float, default=_LORA.alpha, metavar="A")
    command.add_argument("--dropout", type=float, default=_LORA.dropout, metavar="P")
    command.add_argument(
        "--precision", choices=_PRECISIONS, default=BasePrecision.FP32.value, metavar="P",
        help="of the frozen base: fp32, bf16, or (QLoRA) int8 or nf4",
    )  # fmt: skip
    _add_schedule(command)
    command.add_argument("--max-new-tokens", type=int, default=16, metavar="N", help="an answer")
    command.add_argument("--max-pixels", type=int, metavar="N", help="of an image, for Qwen2-VL")
    command.add_argument(
        "--merge", choices=["fp32", "bf16"], help="also write the model with the adapter inside"
    )
    command.add_argument("--tensorboard", action="store_true", help="write event files too")
    command.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    command.add_argument("--limit", type=int, metavar="N", help="N images of each split at most")


def _add_schedule(command: argparse.ArgumentParser) -> None:
    command.add_argument("--epochs", type=int, default=_SCHEDULE.epochs, metavar="N")
    command.add_argument("--batch", type=int, default=_SCHEDULE.batch, metavar="N")
    command.add_argument(
        "--accumulate", type=int, default=_SCHEDULE.accumulate, metavar="N",
        help="batches that one step of the optimiser sees",
    )  # fmt: skip
    command.add_argument(
        "--learning-rate", type=float, default=_SCHEDULE.learning_rate, metavar="R"
    )
    command.add_argument("--seed", type=int, default=_SCHEDULE.seed, metavar="N")
    command.add_argument(
        "--gradient-checkpointing", action="store_true", help="less memory, more time"
    )
    command.add_argument(
        "--checkpoint", type=float, default=_SCHEDULE.checkpoint_s, metavar="S",
        help="seconds of training that a crash may cost at most",
    )  # fmt: skip


def settings(options: argparse.Namespace, catalogue: Catalogue) -> tuple[FinetuneSettings, str]:
    """The settings and the title of the run; raises Problem naming the option."""
    raw = {
        "task": "finetune",
        "model": checkpoint_named(options.model, catalogue),
        "revision": options.revision,
        **named_images(options, catalogue),
        "limit": options.limit,
        "prompts": prompts_named(options.prompts),
        "prompt": options.prompt,
        "zero_shot": not options.no_zero_shot,
        "lora": {
            "parts": [part.strip() for part in options.lora.split(",")],
            "rank": options.rank,
            "alpha": options.alpha,
            "dropout": options.dropout,
        },
        "precision": options.precision,
        "schedule": {
            "epochs": options.epochs,
            "batch": options.batch,
            "accumulate": options.accumulate,
            "learning_rate": options.learning_rate,
            "seed": options.seed,
            "gradient_checkpointing": options.gradient_checkpointing,
            "checkpoint_s": options.checkpoint,
        },
        "max_new_tokens": options.max_new_tokens,
        "max_pixels": options.max_pixels,
        "merge": options.merge,
        "tensorboard": options.tensorboard,
        "threads": options.threads if options.threads is not None else usable_cores(),
    }
    chosen = convert(raw, FinetuneSettings, "run finetune")
    return chosen, chosen.title
