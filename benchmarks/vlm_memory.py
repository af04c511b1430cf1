"""Forecast of a vision-language model's peak memory against the peak that was measured."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Budget, Section, Spread, Table
from benchmarks.processes import run_program

MODELS = ("50m", "150m", "500m", "qwen2-vl", "mobilevlm", "paligemma")
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "nf4", "int8-dynamic")
MORE = {  # one more case: the image in 13 tiles, or with a bound on what is seen of it
    "50m": (("fp32", "tiles"),),
    "qwen2-vl": (("bf16", "100352"),),
}
BOUND = 0.15


def measure(folder: Path) -> Section:
    """Each model in each precision, a process each."""
    section = Section(
        "Forecast of a vision-language model's peak memory",
        "SmolVLM of three sizes and the other families, random weights stored in bfloat16; one "
        "image of 640 x 480 px "
        "asked about twice, one thread. The forecast reads config.json and file headers only. "
        "Peak: the process's VmHWM, libraries included.",
    )
    rows, errors = [], []
    for model in MODELS:
        checkpoint = folder / model
        run_program("build_vlm", checkpoint, model, home=folder)
        cases = [(precision, "") for precision in PRECISIONS]
        for precision, view in (*cases, *MORE.get(model, ())):
            found = run_program("ask_vlm", checkpoint, precision, view, home=folder)
            error = found["forecast"] / found["peak"] - 1
            errors.append(abs(error))
            rows.append(
                (
                    f"{model} {precision} {view}".strip(),
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
