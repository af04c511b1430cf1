from __future__ import annotations

import os
from pathlib import Path

from edgelab.environment import board_name, capture
from edgelab.telemetry import Board, ProcessTree

MB = 1024 * 1024


def orange_pi(root: Path) -> Path:
    """An Orange Pi 3B (RK3566), mainline kernel, as its documentation describes the files."""
    files = {
        "proc/stat": "cpu 0 0 0 0\ncpu0 100 0 100 700 100 0 0 0 0 0\ncpu1 0 0 0 1000 0 0 0 0\n",
        "proc/meminfo": "MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable: 3000000 kB\n"
        "SwapTotal: 0 kB\nSwapFree: 0 kB\n",
        "proc/device-tree/model": "Xunlong Orange Pi 3B\0",
        "proc/device-tree/compatible": "xunlong,orangepi-3b\0rockchip,rk3566\0",
        "proc/cpuinfo": "processor : 0\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48125\n",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
        "sys/class/thermal/thermal_zone1/temp": "47500\n",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1416000\n",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1800000\n",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "schedutil\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_board_is_read_from_its_files(tmp_path: Path) -> None:
    root = orange_pi(tmp_path)
    board = Board(root)
    (root / "proc/stat").write_text("cpu0 150 0 150 750 150 0 0 0 0 0\ncpu1 100 0 0 1000 0 0 0 0\n")
    sample = board.sample()
    assert sample.cpu == (50.0, 100.0)
    assert sample.temperatures == {"cpu-thermal": 48.125, "gpu-thermal": 47.5}
    assert sample.frequency_mhz == (1416.0,)
    assert sample.memory_used == 1_000_000 * 1024
    assert board.memory_available() == 3_000_000 * 1024


def test_an_unreadable_file_costs_its_own_reading_only(tmp_path: Path) -> None:
    root = orange_pi(tmp_path)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("garbage")
    (root / "proc/meminfo").unlink()
    sample = Board(root).sample()
    assert sample.temperatures == {"gpu-thermal": 47.5}
    assert sample.memory_used is None
    assert sample.frequency_mhz == (1416.0,)


def test_a_machine_that_tells_nothing_gives_an_empty_sample(tmp_path: Path) -> None:
    sample = Board(tmp_path).sample()
    assert (sample.cpu, sample.frequency_mhz, sample.temperatures) == ((), (), {})


def test_two_zones_of_one_type_are_both_shown(tmp_path: Path) -> None:
    root = orange_pi(tmp_path)
    (root / "sys/class/thermal/thermal_zone1/type").write_text("cpu-thermal\n")
    assert set(Board(root).sample().temperatures) == {"cpu-thermal", "thermal_zone1"}


def test_the_environment_names_the_board(tmp_path: Path) -> None:
    root = orange_pi(tmp_path)
    assert board_name(root) == "Xunlong Orange Pi 3B"
    facts = capture(root)
    assert "rockchip,rk3566" in facts["soc"]
    assert facts["governor"] == "schedutil"
    assert all(facts.values())


def test_a_process_tree_counts_its_own_memory_and_cpu() -> None:
    tree = ProcessTree(os.getpid())
    tree.read()
    sum(range(2_000_000))
    cpu, memory = tree.read()
    assert cpu is not None
    assert cpu > 0
    assert memory is not None
    assert memory > 5 * MB


def test_a_process_that_is_gone_reads_as_nothing() -> None:
    assert ProcessTree(2**22 + 1).read() == (None, None)
