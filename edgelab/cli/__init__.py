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
from edgelab.cli.numbers import positive_float, positive_int
from edgelab.cli.parsing import CommandParser
from edgelab.problem import Problem, told
from edgelab.records import Scope
from edgelab.settings.common import Precision
from edgelab.words import plain

WRONG_USE = 2

TASKS = ("quick", "detect", "classify", "ask", "train", "finetune")
"""What `edgelab run` can start: a module of `edgelab.cli.tasks` each."""

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
        return _wrong_use(told(error) if error.filename else f"output: {told(error)}")
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
    top = CommandParser(
        prog="edgelab",
        description="A lab console for edge AI. Without a command it opens the console.",
    )
    top.add_argument("--version", action="version", version=f"edgelab {__version__}")
    top.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    top.add_argument("--low-bandwidth", action="store_true", help="send few bytes: for slow lines")
    top.add_argument(
        "--images", action="store_true", help="show the image that is asked about, if possible"
    )
    top.set_defaults(module="console")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_convert(commands)
    _add_study(commands)
    _add_runs(commands)
    for name, module, text in (
        ("show", "show", "what is known of a run"),
        ("watch", "watch", "follow a run until it is over"),
        ("replay", "watch", "play a run back"),
        ("stop", "stop", "ask a run to stop"),
        ("resume", "resume", "go on with a run that ended before its time"),
        ("retry", "retry", "start a run that ran out of memory again, smaller"),
    ):
        command = _command(commands, name, module, text)
        command.add_argument("run", help="a run's id, the beginning of one, or: last")
        command.set_defaults(command=name)
        if name in ("show", "resume", "retry"):
            _add_json(command)
        if name == "show":
            command.add_argument(
                "--by", choices=["class", "count"], help="its errors by class, or by true count"
            )
            command.add_argument("--csv", metavar="FILE", help="with --by: write it; - for stdout")
        if name in ("resume", "retry"):
            _add_detach(command)
        if name == "replay":
            command.add_argument(
                "--speed", type=positive_float, default=1.0, metavar="X", help="times as fast"
            )
    _add_export(commands)
    _add_models(commands)
    for name, text in (
        ("references", "published tables known by name"),
        ("doctor", "what this machine can do, and what is missing"),
    ):
        _add_json(_command(commands, name, name, text))
    studies = _command(
        commands, "studies", "studies", "studies known by name, and those that were begun"
    )
    studies.add_argument("--csv", metavar="FILE", help="write the list; - for stdout")
    _add_json(studies)
    _add_datasets(commands)
    _add_calibrate(commands)
    _add_compare(commands)
    _add_power(commands)
    return top


def _command(
    commands: argparse._SubParsersAction[CommandParser], name: str, module: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(module=module)
    return command


def _add_run(commands: argparse._SubParsersAction[CommandParser]) -> None:
    run_command = _command(commands, "run", "run", "start a run and follow it")
    tasks = run_command.add_subparsers(title="tasks", metavar="TASK", required=True)
    for name in TASKS:
        task = importlib.import_module(f"edgelab.cli.tasks.{name}")
        command = tasks.add_parser(name, help=task.HELP)
        command.set_defaults(task=name)
        task.add_options(command)
        _add_run_options(command)


def _add_run_options(command: argparse.ArgumentParser) -> None:
    """What every run can be told, whatever its task."""
    command.add_argument("--time-limit", type=positive_float, metavar="S", help="seconds")
    command.add_argument(
        "--cool-down", type=positive_float, metavar="S", nargs="?", const=300.0,
        help="before each pass wait until the board is as cool as at the start (S: at most)",
    )  # fmt: skip
    command.add_argument(
        "--governor", choices=["performance"], help="hold the clocks during the run (as root)"
    )
    command.add_argument(
        "--force", action="store_true", help="run what does not fit into free memory, too"
    )
    _add_detach(command)
    _add_json(command)


def _add_convert(commands: argparse._SubParsersAction[CommandParser]) -> None:
    """A task of its own command: it measures nothing, it makes files."""
    task = importlib.import_module("edgelab.cli.tasks.convert")
    command = _command(commands, "convert", "run", task.HELP)
    command.set_defaults(task="convert")
    task.add_options(command)
    _add_run_options(command)


def _add_study(commands: argparse._SubParsersAction[CommandParser]) -> None:
    study = _command(commands, "study", "study", "run a matrix of models and settings")
    study.add_argument("study", help="a name, a .toml file, or the id of one that was begun")
    study.add_argument("--resume", action="store_true", help="go on with one that was begun")
    study.add_argument(
        "--retry", action="store_true", help="with --resume: try failed runs again, too"
    )
    study.add_argument("--model", action="append", metavar="M", help="instead of its own; again")
    study.add_argument("--dataset", action="append", metavar="D", help="instead of its own; again")
    study.add_argument(
        "--images", metavar="DIR", help="the image folder of a COCO .json or of questions"
    )
    study.add_argument("--classes", metavar="A,B", help="count these classes only")
    study.add_argument(
        "--per-class", type=positive_int, metavar="N", help="up to N images a class, that hold it"
    )
    study.add_argument("--precision", action="append", metavar="P", help="instead of its own")
    study.add_argument(
        "--threshold", action="append", type=positive_float, metavar="T", help="instead of its own"
    )
    study.add_argument("--threads", action="append", type=positive_int, metavar="N")
    study.add_argument("--repetitions", type=positive_int, metavar="N", help="times over the data")
    study.add_argument("--limit", type=positive_int, metavar="N", help="N images only")
    study.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="any other setting of all its runs, such as schedule.epochs=1; again",
    )  # fmt: skip
    _add_run_options(study)


def _add_runs(commands: argparse._SubParsersAction[CommandParser]) -> None:
    runs = _command(commands, "runs", "runs", "all runs, newest first")
    runs.set_defaults(action=None)
    actions = runs.add_subparsers(title="actions", metavar="ACTION")
    rebuild = actions.add_parser("rebuild", help="make the index anew from the run folders")
    taken = actions.add_parser("import", help="take the runs of another board's lab into this one")
    taken.add_argument("folder", metavar="FOLDER", help="a copy of that lab, or of a run of it")
    taken.add_argument("--as", dest="origin", metavar="NAME", help="what that board is called here")
    rebuild.set_defaults(action="rebuild")
    taken.set_defaults(action="import")
    for command in (runs, rebuild, taken):
        _add_json(command)


def _add_export(commands: argparse._SubParsersAction[CommandParser]) -> None:
    export = _command(commands, "export", "export", "runs as CSV, or detections as COCO results")
    export.add_argument("runs", nargs="+", metavar="RUN", help="ids, beginnings of ids, last, all")
    where = export.add_mutually_exclusive_group(required=True)
    where.add_argument("--csv", metavar="FILE", help="where to; - for stdout")
    where.add_argument(
        "--coco", metavar="FILE", help="the detections of a run over COCO data, as COCO results"
    )
    export.add_argument(
        "--precision", choices=list(Precision), help="of --coco, where a run has several"
    )
    what = export.add_mutually_exclusive_group()
    what.add_argument("--items", action="store_true", help="one row an image")
    what.add_argument("--curves", action="store_true", help="one row a training step and epoch")
    what.add_argument(
        "--class-scores", action="store_true", help="one row a class, with what it is taken for"
    )


def _add_models(commands: argparse._SubParsersAction[CommandParser]) -> None:
    models = _command(commands, "models", "models", "models known by name")
    models.set_defaults(action=None)
    _add_json(models)
    actions = models.add_subparsers(title="actions", metavar="ACTION")
    add = actions.add_parser("add", help="give a vision-language model a name of its own")
    add.set_defaults(action="add")
    add.add_argument("name", metavar="NAME")
    add.add_argument("model", metavar="MODEL", help="a checkpoint's folder, or a hub id")
    add.add_argument("--title", metavar="TEXT", help="in a few words, what it is")


def _add_datasets(commands: argparse._SubParsersAction[CommandParser]) -> None:
    datasets = _command(commands, "datasets", "datasets", "datasets known by name")
    datasets.set_defaults(action=None)
    _add_json(datasets)
    actions = datasets.add_subparsers(title="actions", metavar="ACTION")
    check = actions.add_parser("check", help="look through one: files, ids, boxes, classes")
    check.set_defaults(action="check")
    check.add_argument(
        "dataset", metavar="DATASET", help="a name, a folder, a .json, a .yaml, a .csv"
    )
    check.add_argument("--model", metavar="M", help="also: which classes it does not know")
    _add_json(check)
    add = actions.add_parser("add", help="give data on disk a name of its own")
    add.set_defaults(action="add")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "path",
        metavar="PATH",
        help="a folder, a COCO .json, a dataset .yaml, a .csv of image and label, or of image, "
        "question and answer",
    )
    add.add_argument("--title", metavar="TEXT", help="in a few words, what it is")
    add.add_argument("--classes", metavar="A,B", help="count these classes only")
    add.add_argument("--per-class", type=positive_int, metavar="N", help="images a class, at most")
    for command in (check, add):
        command.add_argument(
            "--images", metavar="DIR", help="the image folder of a COCO .json or of questions"
        )
        command.add_argument("--split", metavar="NAME", help="which split of it")


def _add_calibrate(commands: argparse._SubParsersAction[CommandParser]) -> None:
    calibrate = _command(
        commands, "calibrate", "calibrate", "measure what this board attains (about a minute)"
    )
    calibrate.add_argument(
        "--threads", type=positive_int, metavar="N", help="the most to use (default: all cores)"
    )
    _add_json(calibrate)


_TABLE = "a run, several with commas between, study:NAME or its id, or reference:NAME"


def _add_compare(commands: argparse._SubParsersAction[CommandParser]) -> None:
    compare = _command(commands, "compare", "compare", "two tables of results side by side")
    compare.add_argument("a", metavar="A", help=_TABLE)
    compare.add_argument("b", metavar="B", help="what it is compared with, named alike")
    compare.add_argument(
        "--pair", action="append", default=[], metavar="A=B",
        help="lay model A of the one beside model B of the other; may be given again",
    )  # fmt: skip
    compare.add_argument(
        "--paired", action="store_true",
        help="own runs: the difference of their MAE over the same images, with its interval",
    )  # fmt: skip
    compare.add_argument("--csv", metavar="FILE", help="write the rows; - for stdout")
    compare.add_argument("--markdown", metavar="FILE", help="write a page; - for stdout")
    check = _command(commands, "check", "check", "what cannot be right in a table of results")
    check.add_argument("table", metavar="TABLE", help=_TABLE)
    for command in (compare, check):
        _add_json(command)


def _add_power(commands: argparse._SubParsersAction[CommandParser]) -> None:
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
        "--accuracy", type=positive_float, default=0.02, help="relative, of one reading"
    )
    meter.add_argument("--time-column", metavar="NAME")
    meter.add_argument("--watts-column", metavar="NAME")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _add_detach(command: argparse.ArgumentParser) -> None:
    command.add_argument("--detach", action="store_true", help="start it and return at once")
