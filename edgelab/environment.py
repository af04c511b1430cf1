"""What a run is made on: board, kernel, clocks, governor, library versions. Captured once a run."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import edgelab

LIBRARIES = ("numpy", "opencv-python-headless", "onnx", "onnxruntime", "torch", "ultralytics")


def boot_id(root: Path = Path("/")) -> str:
    """Identifies this boot of the machine; empty where the kernel does not tell."""
    return _read(root / "proc/sys/kernel/random/boot_id")


def board_name(root: Path = Path("/")) -> str:
    """The board's own name from the device tree, else from the firmware, else the processor's."""
    for path in (
        "proc/device-tree/model",
        "sys/devices/virtual/dmi/id/product_name",
    ):
        if name := _read(root / path):
            return name
    return _cpu_name(root) or platform.machine()


def processor(root: Path = Path("/")) -> str:
    """The processor's name; where the kernel has none for it, the board's."""
    return _cpu_name(root) or board_name(root)


def capture(root: Path = Path("/")) -> dict[str, str]:
    """Everything about this machine that a figure may depend on; unknown facts are left out."""
    return {key: value for key, value in _facts(root) if value}


def _facts(root: Path) -> Iterator[tuple[str, str]]:
    yield "edgelab", edgelab.__version__
    yield "revision", _revision()
    yield "board", board_name(root)
    yield "soc", _read(root / "proc/device-tree/compatible").replace("\0", " ")
    yield "cpu", _cpu_name(root)
    yield "cores", str(os.cpu_count() or "")
    yield "architecture", platform.machine()
    yield "kernel", platform.release()
    yield "system", _system_name(root)
    yield "memory_mb", _memory_mb(root)
    yield "governor", _policies(root, "scaling_governor")
    yield "frequency_max_khz", _policies(root, "scaling_max_freq")
    yield "boot_id", boot_id(root)
    yield "python", platform.python_version()
    for name in LIBRARIES:
        yield name, _version(name)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().rstrip("\0")
    except OSError:
        return ""


def _cpu_name(root: Path) -> str:
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware"):
            return value.strip()
    return ""


def _system_name(root: Path) -> str:
    for line in _read(root / "etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return ""


def _memory_mb(root: Path) -> str:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return str(int(line.split()[1]) * 1024 // 1_000_000)
    return ""


def _policies(root: Path, name: str) -> str:
    paths = sorted((root / "sys/devices/system/cpu/cpufreq").glob(f"policy*/{name}"))
    return " ".join(dict.fromkeys(_read(path) for path in paths))


def _version(distribution: str) -> str:
    # Only runs and the doctor ask: the console has no room for the 3 MB that this brings in.
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _revision() -> str:
    """The git revision of this edgelab where it runs from a checkout."""
    source = Path(__file__).resolve().parent.parent
    if not (source / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
