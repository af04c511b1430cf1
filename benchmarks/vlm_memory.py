"""Forecast of a vision-language model's peak memory against the peak that was measured."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Budget, Section, Spread, Table
from benchmarks.processes import run_program

SIZES = ("50m", "150m", "500m")
PRECISIONS = ("fp32", "bf16", "int8", "nf4", "int8-dynamic")
TILED = ("50m", "fp32")  # one more case, with the image in 13 tiles
BOUND = 0.15


def measure(folder: Path) -> Section:
    """Each size in each precision, a process each."""
    section = Section(
        "Forecast of a vision-language model's peak memory",
        "SmolVLM architectures with random weights, stored in bfloat16; one image of 640 x 480 px "
        "asked about twice, one thread. The forecast reads config.json and file headers only. "
        "Peak: the process's VmHWM, libraries included.",
    )
    rows, errors = [], []
    for size in SIZES:
        checkpoint = folder / size
        run_program("build_vlm", checkpoint, size, home=folder)
        cases = [(precision, "") for precision in PRECISIONS]
        cases += [(TILED[1], "tiles")] if size == TILED[0] else []
        for precision, tiles in cases:
            found = run_program("ask_vlm", checkpoint, precision, tiles, home=folder)
            error = found["forecast"] / found["peak"] - 1
            errors.append(abs(error))
            rows.append(
                (
                    f"{size} {precision} {tiles}".strip(),
                    *(f"{found[key] / 1e6:.0f}" for key in ("libraries", "loaded", "load_peak",
                                                            "peak", "forecast")),
                    f"{100 * error:+.1f} %",
                )
            )  # fmt: skip
    titles = ("model", "libraries MB", "loaded MB", "load peak MB", "peak MB", "forecast MB", "")
    section.tables.append(Table(titles, tuple(rows)))
    worst = Spread.of([max(errors)])
    section.budgets.append(
        Budget("forecast of peak memory, largest error", 100 * BOUND,
               Spread.of([100 * worst.median]), "%", ".1f")
    )  # fmt: skip
    return section
