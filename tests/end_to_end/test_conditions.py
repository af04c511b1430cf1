"""A real run beside a real load, and under a real memory limit: its verdict says so."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgelab.launch import child_environment
from edgelab.machine import usable_cores
from tests.end_to_end.conftest import CommandLine, eventually, measuring, over

LIMIT_BYTES = 60_000_000


@pytest.fixture
def competing_load() -> Iterator[None]:
    """Every core busy with something that is not the run."""
    busy = "import sys; print(flush=True)\nwhile True: pass"
    loads = [
        subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE)
        for _ in range(usable_cores())
    ]
    for load in loads:
        assert load.stdout is not None
        load.stdout.readline()
    yield
    for load in loads:
        load.kill()
        load.communicate()


@pytest.mark.usefixtures("competing_load")
def test_a_run_beside_a_competing_load_is_called_contended(
    edgelab: CommandLine, endless: tuple[str, ...]
) -> None:
    run = edgelab.json(*endless)["run"]
    live = edgelab.live(run)
    eventually(measuring(live))
    enough = len(live.projection.samples) + 3
    eventually(lambda: live.advance() and len(live.projection.samples) >= enough)
    edgelab("stop", run)
    eventually(over(live))
    conditions = edgelab.json("show", run)["passes"][0]["conditions"]
    assert conditions["contended"]
    assert conditions["others_cpu"] > 20


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with a memory limit, where this machine lets us make one."""
    own = Path("/proc/self/cgroup").read_text().splitlines()
    paths = {names: path for _, names, path in (line.split(":", 2) for line in own)}
    if "memory" in paths:
        parent = Path("/sys/fs/cgroup/memory") / paths["memory"].lstrip("/")
        limit = "memory.limit_in_bytes"
    else:
        parent = Path("/sys/fs/cgroup") / paths.get("", "/").lstrip("/")
        limit = "memory.max"
    group = parent / f"edgelab-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / limit).write_text(str(LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group

    def removed() -> bool:
        try:
            group.rmdir()
        except OSError:
            return False
        return True

    eventually(removed)


def test_a_run_over_its_memory_limit_is_called_out_of_memory(
    edgelab: CommandLine, detect: tuple[str, ...], memory_group: Path
) -> None:
    join = f'echo $$ > "{memory_group}/cgroup.procs" && exec "$@"'
    command = [sys.executable, "-P", "-m", "edgelab", *detect, "--detach"]
    subprocess.run(
        ["sh", "-c", join, "sh", *command],
        check=True,
        env=child_environment(EDGELAB_HOME=str(edgelab.home.root)),
        stdout=subprocess.DEVNULL,
    )
    run = eventually(lambda: next(iter(edgelab.home.runs.glob("*/spec.json")), None)).parent.name
    eventually(over(edgelab.live(run)))
    shown = edgelab.json("show", run)
    conditions = shown["passes"][0]["conditions"]
    assert shown["outcome"] == "out of memory" or conditions.get("major_faults", 0) >= 100
    assert os.access(edgelab.home.index, os.R_OK)
