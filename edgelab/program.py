"""A program of the project in a process of its own, whose lines are told as they come."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from edgelab.home import Home
from edgelab.launch import PYTHON_MODULE, child_environment
from edgelab.problem import Problem
from edgelab.words import plain

Tell = Callable[[str], object]
"""Told of each line; whatever it raises ends the program."""


def run_program(home: Home, module: str, arguments: Sequence[str], doing: str, tell: Tell) -> None:
    """Run `python -m module arguments...` to its end; raises the Problem that it ended with.

    `doing`: one word. Of a program that fails, the last line is the reason.
    """
    last = ""
    with subprocess.Popen(
        [*PYTHON_MODULE, module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=child_environment(EDGELAB_HOME=str(home.root)),
        text=True,
        errors="replace",
    ) as process:
        try:
            for text in process.stdout or ():
                last = plain(text.strip(), 1000) or last
                tell(last)
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0:
        raise Problem(f"killed by signal {-process.returncode} while {doing}: {last}")
    if process.returncode > 0:
        raise Problem(last)
