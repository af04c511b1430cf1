"""Trees of kernel files, one a board, as the kernels' documentation and sources describe them.

Nobody read them off the boards themselves.
"""

from __future__ import annotations

from pathlib import Path

CPU = "sys/devices/system/cpu/cpufreq"
THERMAL = "sys/class/thermal"
MEMINFO = (
    "MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {available} kB\n"
    "SwapTotal: {swap} kB\nSwapFree: {swap_free} kB\n"
)

Files = dict[str, str]


def policy(number: int, now: int, cap: int, highest: int, governor: str, cores: str) -> Files:
    """One cpufreq policy, kHz."""
    folder = f"{CPU}/policy{number}"
    return {
        f"{folder}/scaling_cur_freq": f"{now}\n",
        f"{folder}/scaling_max_freq": f"{cap}\n",
        f"{folder}/cpuinfo_max_freq": f"{highest}\n",
        f"{folder}/scaling_governor": f"{governor}\n",
        f"{folder}/related_cpus": f"{cores}\n",
    }


def zone(number: int, kind: str, millidegrees: int, **trips: int) -> Files:
    """One thermal zone; trip points by kind, millidegrees."""
    folder = f"{THERMAL}/thermal_zone{number}"
    files = {f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{millidegrees}\n"}
    for index, (trip, degrees) in enumerate(trips.items()):
        files[f"{folder}/trip_point_{index}_type"] = f"{trip}\n"
        files[f"{folder}/trip_point_{index}_temp"] = f"{degrees}\n"
    return files


def cooler(number: int, kind: str, state: int) -> Files:
    folder = f"{THERMAL}/cooling_device{number}"
    return {f"{folder}/type": f"{kind}\n", f"{folder}/cur_state": f"{state}\n"}


def common(total: int, available: int, cores: int, swap: int = 0, swap_free: int = 0) -> Files:
    ticks = "".join(f"cpu{core} 100 0 100 700 100 0 0 0 0 0\n" for core in range(cores))
    pressure = "some avg10={} avg60=0.00 avg300=0.00 total=1\n"
    return {
        "proc/stat": f"cpu 0 0 0 0\n{ticks}",
        "proc/meminfo": MEMINFO.format(
            total=total, available=available, swap=swap, swap_free=swap_free
        ),
        "proc/vmstat": "pswpin 30\npswpout 12\npgmajfault 99\noom_kill 0\n",
        "proc/pressure/cpu": pressure.format("12.50"),
        "proc/pressure/memory": pressure.format("0.00"),
        "proc/pressure/io": pressure.format("3.00"),
    }


ORANGE_PI_3B_VENDOR: Files = {
    "proc/device-tree/model": "Orange Pi 3B\0",
    "proc/device-tree/compatible": "rockchip,rk3566-orangepi-3b\0rockchip,rk3566\0",
    **common(3_900_000, 2_900_000, 4),
    **policy(0, 1_104_000, 1_416_000, 1_800_000, "ondemand", "0 1 2 3"),
    **zone(0, "soc-thermal", 86_111, passive=85_000, critical=115_000),
    **zone(1, "gpu-thermal", 80_000),
    **cooler(0, "thermal-cpufreq-0", 2),
    **cooler(1, "thermal-devfreq-0", 0),
    "proc/rknpu/load": "NPU load:  Core0: 37%,\n",
    "sys/class/devfreq/fde60000.gpu/load": "47@200000000Hz\n",
    "sys/block/zram0/mm_stat": "4096 2048 20480 0 20480 0 0 0 0\n",
}

ORANGE_PI_3B_MAINLINE: Files = {
    "proc/device-tree/model": "Xunlong Orange Pi 3B v1.1\0",
    "proc/device-tree/compatible": "xunlong,orangepi-3b-v1.1\0"
    "xunlong,orangepi-3b\0rockchip,rk3566\0",
    **common(3_900_000, 3_000_000, 4),
    **policy(0, 1_800_000, 1_800_000, 1_800_000, "schedutil", "0 1 2 3"),
    **zone(0, "cpu-thermal", 48_125, passive=75_000, critical=95_000),
    **zone(1, "gpu-thermal", 47_500, passive=70_000, critical=95_000),
    **cooler(0, "cpufreq-cpu0", 0),
    "sys/kernel/debug/rknpu/load": "NPU load:  0%\n",
}

ORANGE_PI_5: Files = {
    "proc/device-tree/model": "Orange Pi 5\0",
    "proc/device-tree/compatible": "rockchip,rk3588s-orangepi-5\0rockchip,rk3588\0",
    **common(8_000_000, 6_000_000, 8),
    **policy(0, 1_800_000, 1_800_000, 1_800_000, "performance", "0 1 2 3"),
    **policy(4, 2_208_000, 2_352_000, 2_352_000, "performance", "4 5"),
    **policy(6, 2_208_000, 2_304_000, 2_304_000, "performance", "6 7"),
    **zone(0, "soc-thermal", 61_000, passive=85_000, critical=115_000),
    **zone(1, "bigcore0-thermal", 62_000),
    **cooler(0, "thermal-cpufreq-0", 0),
    **cooler(1, "pwm-fan", 3),
    "proc/rknpu/load": "NPU load:  Core0: 12%, Core1:  0%, Core2: 55%,\n",
    "sys/class/devfreq/fb000000.gpu/load": "0@300000000Hz\n",
}

RASPBERRY_PI_5: Files = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
    **common(8_000_000, 7_000_000, 4),
    **policy(0, 1_500_000, 2_400_000, 2_400_000, "ondemand", "0 1 2 3"),
    **zone(0, "cpu-thermal", 84_000, critical=110_000),
    **cooler(0, "pwm-fan", 4),
    "sys/devices/platform/soc/soc:firmware/get_throttled": "e0008\n",
    "sys/class/hwmon/hwmon2/fan1_input": "5800\n",
}

JETSON_ORIN_NANO: Files = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
    **common(7_600_000, 5_000_000, 6, swap=3_800_000, swap_free=3_000_000),
    **policy(0, 1_510_400, 1_510_400, 1_510_400, "schedutil", "0 1 2 3"),
    **policy(4, 729_600, 1_510_400, 1_510_400, "schedutil", "4 5"),
    **zone(0, "cpu-thermal", 52_343, passive=99_000, critical=104_500),
    **zone(1, "gpu-thermal", 51_000, passive=99_000, critical=104_500),
    **zone(8, "tj-thermal", 53_000),
    **cooler(0, "cpufreq-cpu0", 0),
    "sys/devices/gpu.0/load": "305\n",
}

X86_LAPTOP: Files = {
    "sys/devices/virtual/dmi/id/product_name": "ThinkPad X1\n",
    "proc/cpuinfo": "processor : 0\nmodel name : Intel(R) Core(TM) i7\n",
    **common(16_000_000, 9_000_000, 2),
    **policy(0, 2_000_000, 3_000_000, 4_000_000, "powersave", "0"),
    **policy(1, 2_100_000, 3_000_000, 4_000_000, "powersave", "1"),
    **zone(0, "acpitz", 51_000, critical=103_000),
    **zone(1, "x86_pkg_temp", 56_000),
    **cooler(0, "Processor", 0),
    **cooler(1, "Processor", 0),
    **cooler(2, "intel_powerclamp", 0),
}

BOARDS = {
    "orange-pi-3b, vendor kernel": ORANGE_PI_3B_VENDOR,
    "orange-pi-3b, mainline kernel": ORANGE_PI_3B_MAINLINE,
    "orange-pi-5": ORANGE_PI_5,
    "raspberry-pi-5": RASPBERRY_PI_5,
    "jetson-orin-nano": JETSON_ORIN_NANO,
    "x86 laptop": X86_LAPTOP,
}


def build(root: Path, files: Files) -> Path:
    """Write the tree below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
