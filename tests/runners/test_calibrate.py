"""The calibration measures what it says; how fast the machine is, no test asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgelab import environment
from edgelab import program as edgelab_program
from edgelab.calibration import Resource, read_calibration, write_calibration
from edgelab.cli import calibrate as command
from edgelab.cli import run as run_command
from edgelab.durable import locked
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.queue import enqueue
from runners.calibrate import Calibrator, Plan, main
from runners.calibration.arithmetic import PreparedKernel, Sizes, kernels
from runners.calibration.disk import CHUNK, Chunks, DiskProblem, file_system, measure_disk
from runners.calibration.memory import (
    MIB,
    SMALLEST,
    array_bytes,
    last_level_cache,
    measure_memory,
)
from runners.calibration.repeats import Budget, Times, repeat
from tests.runners.conftest import ROOT

BRIEF = Budget(shortest_s=0, longest_s=0, fewest=1)
SMALL = Sizes(matrix=32, channels=8, side=8, layers=2)
PLAN = Plan(BRIEF, SMALL, Chunks(most=1, fewest=1), memory_bytes=MIB, listen_s=0)


def test_a_calibration_is_whole(home: Home) -> None:
    said: list[str] = []

    calibration = Calibrator(home, threads=2, plan=PLAN, say=said.append).run()
    write_calibration(home, calibration)

    facts = environment.capture()
    assert read_calibration(home, facts) == calibration
    measured = {(rate.resource, rate.threads) for rate in calibration.rates}
    for resource in (Resource.FP32, Resource.INT8, Resource.MEMORY):
        assert {(resource, 1), (resource, 2)} <= measured
        assert calibration.attained(resource, 2)
    for rate in calibration.rates:
        assert rate.best >= rate.median > 0
        assert rate.repeats >= 1
        assert rate.work > 0
    tests = {rate.test for rate in calibration.rates} | set(calibration.left_out)
    assert {"memory copy", "memory read", "disk read"} <= tests
    assert {kernel.name for kernel in kernels(SMALL)} <= tests
    assert calibration.environment["boot_id"] == facts["boot_id"]
    assert calibration.duration_s > 0
    assert said[0] == "disk"
    assert "fp32 convolution, 2 threads" in said


def test_integer_kernels_are_proven(tmp_path: Path) -> None:
    prepared = [PreparedKernel(kernel, tmp_path) for kernel in kernels(SMALL)]

    proven = [each for each in prepared if each.problem is None]
    integer = [each for each in proven if each.kernel.resource is Resource.INT8]
    assert {"int8 matrix product", "int8 convolution u8s8"} <= {e.kernel.name for e in integer}
    for each in integer:
        assert each.executed.integer > 0
        assert each.executed.full == each.executed.half == 0
        assert each.measure(1, BRIEF).executed == each.executed


def test_a_kernel_that_is_computed_in_another_format_says_so(tmp_path: Path) -> None:
    whole = {kernel.name: kernel for kernel in kernels(SMALL)}
    passed_off = whole["fp32 convolution"].__class__(
        "int8 convolution", Resource.INT8, 1, whole["fp32 convolution"].build
    )

    prepared = PreparedKernel(passed_off, tmp_path)

    assert prepared.problem == "the runtime computes it as 100% fp32"


def test_operations_are_those_of_the_graphs(tmp_path: Path) -> None:
    from runners.graph_cost import graph_cost

    for kernel in kernels(SMALL):
        cost = graph_cost(PreparedKernel(kernel, tmp_path).path)
        assert 2 * cost.macs == kernel.operations
        assert cost.unknown == {}
        assert set(cost.flops) == {kernel.resource.value}


def test_repeats_end_when_settled() -> None:
    calls: list[None] = []

    times = repeat(lambda: calls.append(None), Budget(0, 60, fewest=5, spread=float("inf")))

    assert times.settled
    assert len(times.seconds) == 5
    assert len(calls) == 6  # one that does not count


def test_repeats_end_when_time_is_up() -> None:
    times = repeat(lambda: None, Budget(0, 0, fewest=5, spread=0))

    assert not times.settled
    assert len(times.seconds) == 1


def test_a_rate_keeps_outliers() -> None:
    rate = Times((1.0, 2.0, 2.0, 2.0, 9.0)).rate("t", Resource.MEMORY, 1, 100)

    assert (rate.best, rate.median, rate.repeats) == (100.0, 50.0, 5)
    assert Times((1.0, 2.0, 3.0, 4.0, 5.0)).spread == pytest.approx(2 / 3)


def test_memory_is_counted_as_stream_does() -> None:
    copy, read = measure_memory(2, MIB, BRIEF)

    assert (copy.work, read.work) == (2 * MIB, MIB)
    assert copy.resource is read.resource is Resource.MEMORY


def test_all_threads_share_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    inner, lock = np.copyto, threading.Lock()

    def copyto(target: np.ndarray, source: np.ndarray) -> None:  # type: ignore[type-arg]
        with lock:
            seen.append((target.__array_interface__["data"][0], target.nbytes))
        inner(target, source)

    monkeypatch.setattr(np, "copyto", copyto)
    next(iter(measure_memory(3, MIB, BRIEF)))

    parts = sorted(set(seen))
    assert sum(size for _, size in parts) == MIB
    assert all(at + size == following for (at, size), (following, _) in pairwise(parts))


@pytest.mark.parametrize(
    ("cache", "available", "expected"),
    [
        (None, None, SMALLEST),
        (32 * MIB, None, 128 * MIB),
        (512 << 10, 2 << 30, SMALLEST),
        (32 * MIB, 100 * MIB, 25 * MIB),
    ],
)
def test_arrays_exceed_the_cache_and_leave_memory_free(
    cache: int | None, available: int | None, expected: int
) -> None:
    assert array_bytes(cache, available) == expected


def test_the_last_level_cache_is_read_once_for_all_who_share_it(tmp_path: Path) -> None:
    for cpu, shared in ((0, "0-3"), (1, "0-3"), (4, "4-7")):
        for index, level, size in ((0, 1, "32K"), (3, 3, "3072K")):
            folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
            folder.mkdir(parents=True)
            (folder / "level").write_text(f"{level}\n")
            (folder / "size").write_text(f"{size}\n")
            (folder / "shared_cpu_list").write_text(f"{shared}\n")

    assert last_level_cache(tmp_path) == 2 * 3 * MIB
    (tmp_path / "sys/devices/system/cpu/cpu4/cache/index3/size").write_text("?\n")
    assert last_level_cache(tmp_path) == 3 * MIB
    assert last_level_cache(tmp_path / "nothing") is None


def test_the_disk_is_read_past_the_page_cache(tmp_path: Path) -> None:
    if file_system(tmp_path) in ("tmpfs", "ramfs"):
        pytest.skip("the tests' folder lies in memory")

    rate = measure_disk(tmp_path, Chunks(most=2, fewest=2), BRIEF)

    assert (rate.repeats, rate.work) == (2, CHUNK)
    assert rate.how.startswith(("O_DIRECT", "page cache dropped"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_memory_is_no_disk() -> None:
    folder = Path("/dev/shm")
    if file_system(folder) != "tmpfs":
        pytest.skip("no /dev/shm here")

    with pytest.raises(DiskProblem, match=r"/dev/shm lies in memory \(tmpfs\)"):
        measure_disk(folder, Chunks(most=1, fewest=1), BRIEF)


def test_a_full_disk_is_left_out(home: Home) -> None:
    plan = Plan(BRIEF, SMALL, Chunks(most=1 << 40), memory_bytes=MIB, listen_s=0)

    calibration = Calibrator(home, 1, plan).run()

    assert "too little room" in calibration.left_out["disk read"]
    assert calibration.attained(Resource.DISK, 1) is None
    assert calibration.attained(Resource.FP32, 1)


def test_file_systems_are_told_apart(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 9:9 / /other rw - tmpfs none rw\n"
        f"2 0 {os.major(device)}:{os.minor(device)} / / rw shared:1 - ext4 /dev/x rw\n"
    )

    assert file_system(tmp_path, mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "missing") == "unknown"


def test_it_does_not_start_beside_a_run(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(home.supervisor_lock):
        code = run_command(["calibrate"])

    assert code == 2
    assert "a run is on: calibrate when it is over" in capsys.readouterr().err
    assert not home.calibrations.exists()


def test_a_calibration_that_is_killed_is_a_problem(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os, sys; print('memory', flush=True); os.kill(os.getpid(), 9)"
    monkeypatch.setattr(edgelab_program, "PYTHON_MODULE", (sys.executable, "-c", program))

    with pytest.raises(Problem, match="killed by signal 9 while measuring: memory"):
        command.measure(home, None)


def test_the_command_prints_what_is_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(home: Home, threads: int | None) -> None:
        write_calibration(home, Calibrator(home, threads or 1, PLAN).run())

    monkeypatch.setattr(command, "measure", measure)

    assert run_command(["calibrate", "--threads", "1"]) == 0
    assert "fp32 convolution" in capsys.readouterr().out
    assert run_command(["calibrate", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == 1
    assert Path(document["file"]).exists()
    assert {rate["resource"] for rate in document["rates"]} >= {"fp32", "int8", "memory"}


def test_a_run_that_came_meanwhile_is_started(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(home: Home, threads: int | None) -> None:
        enqueue(home, 1, "00000001")
        write_calibration(home, Calibrator(home, 1, PLAN).run())

    started: list[Home] = []
    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setattr("edgelab.lab.start_supervisor", started.append)

    assert run_command(["calibrate"]) == 0
    assert started == [home]


def test_calibrating_imports_no_torch() -> None:
    program = "import sys, runners.calibrate; print(sorted({'torch', 'cv2'} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_what_cannot_be_written_is_named_first(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.root.touch()
    monkeypatch.setattr(sys, "argv", ["calibrate"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == f"{home.root}: File exists\n"
