"""What is done with a long run, by itself: `python -m benchmarks.programs.long_run FOLDER WHAT`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.processes import resident_bytes
from edgelab import supervisor
from edgelab.home import Home
from edgelab.outcome import close_run
from edgelab.reader import LiveRun, Replay
from edgelab.run_folder import RunFolder


def attach(folder: RunFolder) -> None:
    """What a console does that is opened while the run is on."""
    LiveRun(folder).advance()


def close(folder: RunFolder) -> None:
    """What the supervisor does at the end."""
    close_run(Home(folder.path.parent.parent), folder)


def replay(folder: RunFolder) -> None:
    """What a console does before it plays a run back, and its jump to the end."""
    run = Replay(folder)
    run.seek(run.length)
    run.advance()


def main(folder: RunFolder, what: str) -> None:
    """Print seconds, and the peak of memory in a process that has loaded what a supervisor has."""
    assert supervisor.__file__
    before, started = resident_bytes(), time.perf_counter()
    {"attach": attach, "close": close, "replay": replay}[what](folder)
    answer = {
        "seconds": time.perf_counter() - started,
        "peak_memory": resident_bytes(line="VmHWM"),
        "more_memory": resident_bytes(line="VmHWM") - before,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(RunFolder(Path(sys.argv[1])), sys.argv[2])
