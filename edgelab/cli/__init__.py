"""The command line: the same core as the console, for scripts.

Each command's module is imported only when the command is used.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import get_args

from edgelab import __version__
from edgelab.problem import Problem
from edgelab.records import Scope
from edgelab.settings.common import Order, Precision, Scenario
from edgelab.words import plain

WRONG_USE = 2

_LONGEST_PROBLEM = 1000


def run(arguments: Sequence[str]) -> int:
    """Parse, dispatch, and turn every Problem into one line on stderr."""
    _open_missing_streams()
    options = parser().parse_args(arguments)
    try:
        command = importlib.import_module(f"edgelab.cli.{options.module}")
        code = int(command.run(options))
        sys.stdout.flush()
    except Problem as problem:
        return _wrong_use(str(problem))
    except BrokenPipeError:
        # The reader of our output (head, less) has enough. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _wrong_use(f"{error.filename or 'output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130
    return code


def _wrong_use(text: str) -> int:
    print(f"edgelab: {plain(text, _LONGEST_PROBLEM)}", file=sys.stderr)
    return WRONG_USE


def _open_missing_streams() -> None:
    """Python leaves out streams that were closed before it started."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the whole process


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="edgelab",
        description="A lab console for edge AI. Without a command it opens the console.",
    )
    top.add_argument("--version", action="version", version=f"edgelab {__version__}")
    top.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    top.add_argument("--low-bandwidth", action="store_true", help="send few bytes: for slow lines")
    top.set_defaults(module="console")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_runs(commands)
    for name, module, text in (
        ("show", "show", "what is known of a run"),
        ("watch", "watch", "follow a run until it is over"),
        ("replay", "watch", "play a run back"),
        ("stop", "stop", "ask a run to stop"),
    ):
        command = _command(commands, name, module, text)
        command.add_argument("run", help="a run's id, the beginning of one, or: last")
        command.set_defaults(command=name)
        if name == "show":
            _add_json(command)
        if name == "replay":
            command.add_argument(
                "--speed", type=_positive_float, default=1.0, metavar="X", help="times as fast"
            )
    _add_export(commands)
    for name, text in (
        ("models", "models known by name"),
        ("datasets", "datasets known by name"),
        ("doctor", "what this machine can do, and what is missing"),
    ):
        _add_json(_command(commands, name, name, text))
    _add_calibrate(commands)
    _add_power(commands)
    return top


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, module: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(module=module)
    return command


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run_command = _command(commands, "run", "run", "start a run and follow it")
    tasks = run_command.add_subparsers(title="tasks", metavar="TASK", required=True)
    quick = tasks.add_parser("quick", help="the embedded detector, all precisions, on shapes")
    quick.set_defaults(task="quick")
    detect = tasks.add_parser("detect", help="a detector on a dataset")
    detect.set_defaults(task="detect")
    detect.add_argument("--model", required=True, metavar="M", help="a name or an .onnx file")
    detect.add_argument(
        "--dataset",
        required=True,
        metavar="D",
        help="a name, a folder of images, a COCO .json (with --images), a dataset .yaml",
    )
    detect.add_argument("--images", metavar="DIR", help="the image folder of a COCO .json")
    detect.add_argument("--split", metavar="NAME", help="which split of the dataset")
    detect.add_argument(
        "--precision", action="append", choices=[each.value for each in Precision], metavar="P",
        help="fp32, fp16 or int8; may be given again (default fp32)",
    )  # fmt: skip
    detect.add_argument(
        "--threshold", action="append", type=float, metavar="T",
        help="score threshold; may be given again (default 0.3 0.5 0.7)",
    )  # fmt: skip
    detect.add_argument("--iou", type=float, help="IoU of the NMS (default: the model's)")
    detect.add_argument(
        "--scenario", choices=[each.value for each in Scenario], metavar="S",
        default=Scenario.SINGLE_STREAM.value, help="single-stream or offline",
    )  # fmt: skip
    detect.add_argument(
        "--warmup", type=int, default=5, metavar="N", help="images before it counts"
    )
    detect.add_argument(
        "--repetitions", type=int, default=1, metavar="N", help="times over the data"
    )
    detect.add_argument(
        "--order", choices=[each.value for each in Order], default=Order.GIVEN.value, metavar="O",
        help="of the precisions: given, random, or abba (there and back, each measured twice)",
    )  # fmt: skip
    detect.add_argument("--image-size", type=int, metavar="PX", help="for models of any size")
    detect.add_argument("--calibration-images", type=int, default=100, metavar="N", help="for int8")
    for command in (quick, detect):
        command.add_argument("--threads", type=int, metavar="N", help="default: all cores")
        command.add_argument("--limit", type=int, metavar="N", help="the first N images only")
        command.add_argument("--time-limit", type=_positive_float, metavar="S", help="seconds")
        command.add_argument(
            "--cool-down", type=_positive_float, metavar="S", nargs="?", const=300.0,
            help="before each pass wait until the board is as cool as at the start (S: at most)",
        )  # fmt: skip
        command.add_argument(
            "--governor", choices=["performance"], help="hold the clocks during the run (as root)"
        )
        command.add_argument("--detach", action="store_true", help="start it and return at once")
        _add_json(command)


def _add_runs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    runs = _command(commands, "runs", "runs", "all runs, newest first")
    runs.add_argument("action", nargs="?", choices=["rebuild"], help="make the index anew")
    _add_json(runs)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = _command(commands, "export", "export", "runs as CSV")
    export.add_argument("runs", nargs="+", metavar="RUN", help="ids, beginnings of ids, last, all")
    export.add_argument("--csv", required=True, metavar="FILE", help="where to; - for stdout")
    what = export.add_mutually_exclusive_group()
    what.add_argument("--items", action="store_true", help="one row an image")
    what.add_argument("--curves", action="store_true", help="one row a training step and epoch")


def _add_calibrate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    calibrate = _command(
        commands, "calibrate", "calibrate", "measure what this board attains (about a minute)"
    )
    calibrate.add_argument(
        "--threads", type=_positive_int, metavar="N", help="the most to use (default: all cores)"
    )
    _add_json(calibrate)


def _add_power(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    power = _command(commands, "power", "power", "where watts come from")
    power.set_defaults(action=None)
    _add_json(power)
    actions = power.add_subparsers(title="actions", metavar="ACTION")
    meter = actions.add_parser("import", help="take an external meter's CSV into a run")
    meter.set_defaults(action="import")
    meter.add_argument("run", metavar="RUN")
    meter.add_argument("file", metavar="CSV", help="time and watts, or time, volts and amperes")
    meter.add_argument("--name", default="meter", help="what the source is called")
    meter.add_argument("--offset", type=float, default=0.0, metavar="S", help="added to its times")
    meter.add_argument("--scope", choices=get_args(Scope), default="board input")
    meter.add_argument(
        "--accuracy", type=_positive_float, default=0.02, help="relative, of one reading"
    )
    meter.add_argument("--time-column", metavar="NAME")
    meter.add_argument("--watts-column", metavar="NAME")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)
