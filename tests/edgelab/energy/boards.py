"""Sysfs trees of boards, as the kernel's documentation describes the files."""

from __future__ import annotations

from pathlib import Path


def tree(root: Path, files: dict[str, str]) -> Path:
    """Write the files under `root`, each with the kernel's final newline."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def ina226(root: Path, watts: float = 3.5, number: int = 0) -> Path:
    """An INA226 on the header of an Orange Pi 3B; returns its `power1_input`."""
    folder = f"sys/class/hwmon/hwmon{number}"
    tree(
        root,
        {
            f"{folder}/name": "ina226",
            f"{folder}/in1_input": "5087",
            f"{folder}/curr1_input": str(round(watts / 5.087 * 1000)),
            f"{folder}/power1_input": str(round(watts * 1e6)),
            f"{folder}/shunt_resistor": "10000",
        },
    )
    return root / folder / "power1_input"


def jetson(root: Path, labels: tuple[str, ...] = ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")) -> Path:
    """A Jetson Orin Nano: one INA3221; in4 and on are shunt voltages, in7 their sum."""
    folder = "sys/class/hwmon/hwmon1"
    files = {f"{folder}/name": "ina3221", f"{folder}/in7_label": "sum of shunt voltages"}
    for channel, label in enumerate(labels, start=1):
        files[f"{folder}/in{channel}_label"] = label
        files[f"{folder}/in{channel}_enable"] = "1"
        files[f"{folder}/in{channel}_input"] = "5000"
        files[f"{folder}/curr{channel}_input"] = str(1000 // channel)
        files[f"{folder}/in{channel + 3}_input"] = "40"
    return tree(root, files) / folder


def rapl(root: Path, packages: tuple[int, ...] = (1_000_000,), range_uj: int = 1 << 32) -> Path:
    """Packages with a core subzone each, and psys, which covers all of them."""
    folder = "sys/class/powercap"
    files = {}
    for number, energy in enumerate(packages):
        files[f"{folder}/intel-rapl:{number}/name"] = f"package-{number}"
        files[f"{folder}/intel-rapl:{number}/energy_uj"] = str(energy)
        files[f"{folder}/intel-rapl:{number}/max_energy_range_uj"] = str(range_uj)
        files[f"{folder}/intel-rapl:{number}:0/name"] = "core"
        files[f"{folder}/intel-rapl:{number}:0/energy_uj"] = "77"
        files[f"{folder}/intel-rapl:{number}:0/max_energy_range_uj"] = str(range_uj)
    files[f"{folder}/intel-rapl:9/name"] = "psys"
    files[f"{folder}/intel-rapl:9/energy_uj"] = "5"
    files[f"{folder}/intel-rapl:9/max_energy_range_uj"] = str(range_uj)
    return tree(root, files) / folder


def battery(root: Path, name: str = "BAT0", **fields: str) -> Path:
    """A laptop's battery that discharges with 9 W, told in amperes and volts."""
    folder = f"sys/class/power_supply/{name}"
    known = {
        "type": "Battery",
        "status": "Discharging",
        "current_now": "750000",
        "voltage_now": "12000000",
    }
    return tree(root, {f"{folder}/{key}": text for key, text in (known | fields).items()}) / folder


def cpu_ticks(root: Path, *cores: tuple[int, int]) -> None:
    """A /proc/stat in which each core has been busy and idle for so many ticks."""
    lines = ["cpu 0 0 0 0 0 0 0 0 0 0"]
    lines += [f"cpu{n} {busy} 0 0 {idle} 0 0 0 0 0 0" for n, (busy, idle) in enumerate(cores)]
    tree(root, {"proc/stat": "\n".join(lines)})
