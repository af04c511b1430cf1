"""SmolVLM with torch and without: memory, start, speed, against the memory-bandwidth floor."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Section, Table
from benchmarks.processes import run_program

SIZE = "256m"
CASES = (
    ("torch", "fp32"), ("torch", "int8"), ("torch", "int8-dynamic"),
    ("onnx", "fp32"), ("onnx", "int8"), ("onnx", "q4"),
)  # fmt: skip


def measure(folder: Path) -> Section:
    """The dimensions of SmolVLM-256M, random weights, a process each."""
    checkpoint, exported = folder / "checkpoint", folder / "exported"
    run_program("build_vlm", checkpoint, SIZE, home=folder)
    for engine, precision in CASES:
        if engine == "onnx":
            run_program("export_vlm", checkpoint, exported, precision, home=folder)
    bandwidth = run_program("bandwidth", home=folder)["bytes_per_s"]
    rows = []
    for engine, precision in CASES:
        where = checkpoint if engine == "torch" else exported
        found = run_program("ask_vlm", where, precision, home=folder)
        rate = 1000 * found["decoded"] / found["decode_ms"]
        floor = bandwidth / found["read_bytes"]
        rows.append(
            (
                f"{engine} {precision}",
                *(f"{found[key] / 1e6:.0f}" for key in ("libraries", "peak", "forecast")),
                f"{found['import_s']:.1f}", f"{found['load_s']:.1f}",
                f"{found['vision_ms'] / 1000:.1f}", f"{found['prefill_ms'] / 1000:.1f}",
                f"{rate:.1f}", f"{floor:.0f}", f"{100 * rate / floor:.0f} %",
            )
        )  # fmt: skip
    section = Section(
        "SmolVLM-256M with torch and without",
        "The dimensions of SmolVLM-256M with random weights; one image of 640 x 480 px as one "
        "tile, one thread, the second question of a process. Floor: a decoded token reads the "
        "language model's weights and its head once, at the memory bandwidth that one thread "
        f"attains here ({bandwidth / 1e9:.1f} GB/s, read by NumPy); peaks are VmHWM.",
    )
    titles = (
        "engine", "imports MB", "peak MB", "forecast MB", "import s", "load s", "vision s",
        "prefill s", "tokens/s", "floor tokens/s", "of the floor",
    )  # fmt: skip
    section.tables.append(Table(titles, tuple(rows)))
    return section
