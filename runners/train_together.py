"""Train a classifier in several processes: `python -m runners.train_together FOLDER`.

accelerate's own launcher starts `runners.train` so many times; on one machine it is

    accelerate launch --num_processes N -m runners.train FOLDER

This program ends with its supervisor, and with the code of the process that failed first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgelab.problem import Problem
from edgelab.run_folder import RunFolder
from edgelab.settings.train import TrainSettings
from runners.extras import needs
from runners.step import FAILED_EXIT, STOPPED_EXIT, be_a_runner, say


def main() -> None:
    """Read the command line, launch, and wait."""
    parser = argparse.ArgumentParser(description="Train a classifier in several processes.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    be_a_runner()
    try:
        launch(folder)
    except Problem as problem:
        say(problem)
        raise SystemExit(FAILED_EXIT) from None


def launch(folder: Path) -> None:
    """Run all processes to their end; raises Problem, or SystemExit with the code of the first
    that failed."""
    settings = RunFolder(folder).read_spec().settings
    if not isinstance(settings, TrainSettings):
        raise Problem(f"{folder}: a run of the task {settings.task!r}: not for this")
    with needs("train", "training in several processes"):
        from accelerate.commands.launch import launch_command, launch_command_parser
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    arguments = [
        "--multi_gpu",  # several processes of one machine, on CPUs too: each finds its own device
        "--num_processes", str(settings.processes), "--num_machines", "1",
        "--num_cpu_threads_per_process", str(settings.threads), "--main_process_port", "0",
        "--mixed_precision", "no", "--dynamo_backend", "no",  # the runner does its own
        "--module", "runners.train", str(folder),
    ]  # fmt: skip
    try:
        launch_command(launch_command_parser().parse_args(arguments))
    except SignalException:
        raise SystemExit(STOPPED_EXIT) from None
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        raise SystemExit(code if code > 0 else 128 - code) from None


if __name__ == "__main__":
    main()
