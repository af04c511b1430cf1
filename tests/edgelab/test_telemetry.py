from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgelab.environment import board_name, capture
from edgelab.telemetry import Board
from edgelab.telemetry.process_tree import ProcessTree
from tests.boards import (
    BOARDS,
    JETSON_ORIN_NANO,
    ORANGE_PI_3B_MAINLINE,
    ORANGE_PI_3B_VENDOR,
    ORANGE_PI_5,
    RASPBERRY_PI_5,
    X86_LAPTOP,
    Files,
    build,
)

MB = 1024 * 1024
MEMORY_FIELDS = ("memory_total", "memory_used", "swap_used", "zram_used")

READINGS: list[tuple[Files, dict[str, Any]]] = [
    (
        ORANGE_PI_3B_VENDOR,
        {
            "temperatures": {"soc-thermal": 86.111, "gpu-thermal": 80.0},
            "frequency_mhz": (1104.0,),
            "frequency_cap_mhz": (1416.0,),
            "cooling": {"thermal-cpufreq-0": 2},
            "memory_used": 1_000_000 * 1024,
            "npu_load": 37.0,
            "gpu_load": 47.0,
            "zram_used": 20480,
            "swapped_pages": 42,
            "pressure": {"cpu": 12.5, "io": 3.0},
        },
    ),
    (
        ORANGE_PI_3B_MAINLINE,
        {
            "temperatures": {"cpu-thermal": 48.125, "gpu-thermal": 47.5},
            "frequency_mhz": (1800.0,),
            "cooling": {},
            "npu_load": 0.0,
            "gpu_load": None,
            "zram_used": None,
        },
    ),
    (
        ORANGE_PI_5,
        {
            "frequency_mhz": (1800.0, 2208.0, 2208.0),
            "frequency_cap_mhz": (1800.0, 2352.0, 2304.0),
            "cooling": {},  # the fan runs, which slows nothing down
            "npu_load": 55.0,
            "gpu_load": 0.0,
        },
    ),
    (
        RASPBERRY_PI_5,
        {
            "temperatures": {"cpu-thermal": 84.0},
            "cooling": {"soft limit": 1},
            "fan_rpm": 5800,
        },
    ),
    (
        JETSON_ORIN_NANO,
        {
            "temperatures": {"cpu-thermal": 52.343, "gpu-thermal": 51.0, "tj-thermal": 53.0},
            "frequency_mhz": (1510.4, 729.6),
            "swap_used": 800_000 * 1024,
            "gpu_load": 30.5,
        },
    ),
    (
        X86_LAPTOP,
        {
            "temperatures": {"acpitz": 51.0, "x86_pkg_temp": 56.0},
            "frequency_cap_mhz": (3000.0, 3000.0),
            "cooling": {},
        },
    ),
]


@pytest.mark.parametrize(("files", "expected"), READINGS, ids=list(BOARDS))
def test_each_board_gives_exactly_its_readings(
    tmp_path: Path, files: Files, expected: dict[str, Any]
) -> None:
    board = Board(build(tmp_path, files))
    sample = board.sample()
    assert {name: getattr(sample, name) for name in expected} == expected
    assert not board.problems


def test_trip_points_and_governors_are_facts(tmp_path: Path) -> None:
    facts = Board(build(tmp_path, ORANGE_PI_3B_VENDOR)).facts()
    assert facts.zones[0].trips == {"passive": 85.0, "critical": 115.0}
    assert facts.zones[0].throttles_at == 85.0
    assert facts.zones[1].throttles_at is None
    assert facts.policies[0].governor == "ondemand"
    assert facts.policies[0].hardware_max_mhz == 1800.0


@pytest.mark.parametrize("files", BOARDS.values(), ids=list(BOARDS))
def test_any_file_that_goes_missing_or_wrong_costs_one_sensor_and_has_a_reason(
    tmp_path: Path, files: Files
) -> None:
    whole = Board(build(tmp_path / "whole", files)).sample()
    for number, name in enumerate(files):
        root = build(tmp_path / str(number), files)
        board = Board(root)
        before = {sensor.name for sensor in board.sensors}
        (root / name).write_text("garbage\n")
        sample = board.sample()
        lost = {f for f in whole.__struct_fields__ if f != "t" and not same(sample, whole, f)}
        assert len(board.problems) <= 1
        assert len(lost) <= len(MEMORY_FIELDS), (name, lost)
        for reason in board.problems.values():
            assert str(root) in reason
        assert {sensor.name for sensor in board.sensors} == before


def same(sample: Any, whole: Any, field: str) -> bool:
    varying = ("supervisor_cpu", "supervisor_memory", "disk_free")
    return field in varying or getattr(sample, field) == getattr(whole, field)


def test_cpu_shares_are_those_between_two_readings(tmp_path: Path) -> None:
    root = build(tmp_path, ORANGE_PI_3B_MAINLINE)
    board = Board(root)
    (root / "proc/stat").write_text(
        "cpu0 150 0 150 750 150 0 0 0 0 0\n"  # 100 of 200 ticks busy
        "cpu1 200 0 100 700 100 0 0 0 0 0\n"  # 100 of 100
        "cpu2 100 0 100 750 100 0 0 50 0 0\n"  # half of 100 stolen by the hypervisor
        "cpu3 100 0 100 700 100 0 0 0 0 0\n"  # no tick passed
    )
    sample = board.sample()
    assert sample.cpu == (50.0, 100.0, 0.0, 0.0)
    assert sample.stolen == 50.0


def test_a_machine_that_tells_nothing_gives_an_empty_sample_and_reasons(tmp_path: Path) -> None:
    board = Board(tmp_path)
    sample = board.sample()
    assert (sample.cpu, sample.frequency_mhz, sample.temperatures) == ((), (), {})
    assert {"cpu load", "temperature", "frequency", "memory"} <= {a.name for a in board.absent}
    assert all(absent.reason for absent in board.absent)


def test_two_zones_of_one_type_are_both_shown(tmp_path: Path) -> None:
    root = build(tmp_path, ORANGE_PI_3B_MAINLINE)
    (root / "sys/class/thermal/thermal_zone1/type").write_text("cpu-thermal\n")
    assert set(Board(root).sample().temperatures) == {"cpu-thermal", "thermal_zone1"}


def test_a_slow_sensor_is_read_at_its_own_rate(tmp_path: Path) -> None:
    now = [100.0]
    root = build(tmp_path, RASPBERRY_PI_5)
    board = Board(root, monotonic=lambda: now[0])
    assert board.sample().fan_rpm == 5800
    (root / "sys/class/hwmon/hwmon2/fan1_input").write_text("9\n")
    now[0] = 101.0
    assert board.sample().fan_rpm == 5800
    now[0] = 105.0
    assert board.sample().fan_rpm == 9


def test_the_environment_names_the_board(tmp_path: Path) -> None:
    root = build(tmp_path, ORANGE_PI_3B_MAINLINE)
    assert board_name(root) == "Xunlong Orange Pi 3B v1.1"
    facts = capture(root)
    assert "rockchip,rk3566" in facts["soc"]
    assert facts["governor"] == "schedutil"
    assert all(facts.values())


def test_a_process_tree_counts_its_own_memory_and_cpu() -> None:
    tree = ProcessTree(os.getpid())
    tree.read()
    sum(range(5_000_000))
    usage = tree.read()
    assert usage.cpu is not None
    assert usage.cpu > 0
    assert usage.memory is not None
    assert usage.memory > 5 * MB
    assert usage.major_faults is not None


def test_a_process_that_is_gone_reads_as_nothing() -> None:
    usage = ProcessTree(2**22 + 1).read()
    assert (usage.cpu, usage.memory, usage.major_faults) == (None, None, None)


def test_what_a_supervisor_costs_is_without_what_it_watches() -> None:
    board = Board()
    hog = "import sys; held = bytearray(400_000_000); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hog], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        sample = board.sample(ProcessTree(child.pid))
        child.communicate(b"")
    assert sample.runner_memory is not None
    assert sample.runner_memory > 350 * MB
    assert sample.supervisor_memory is not None
    assert abs(sample.supervisor_memory - psutil.Process().memory_info().rss) < 200 * MB
