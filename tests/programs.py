"""Runners that die in every way a runner can: `python -m tests.programs <run folder> <how>`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from edgelab.run_folder import RunFolder
from edgelab.stage import StageMark
from edgelab.steps import DISK_FULL_EXIT, OUT_OF_MEMORY_EXIT


def main(folder: Path, how: str) -> None:
    print(f"about to {how}", flush=True)
    if how == "fail":
        raise ValueError("the weights are of the wrong shape")
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        (folder / "waiting").touch()
        time.sleep(60)
    if how == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / "waiting").touch()
        time.sleep(60)
    if how == "memory":
        StageMark(RunFolder(folder).stage, how)("prefill")
    sys.exit({"memory": OUT_OF_MEMORY_EXIT, "disk": DISK_FULL_EXIT}.get(how, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
