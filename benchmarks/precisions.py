"""One detector in all precisions at the size people deploy: what a conversion gains in speed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.detectors import yolov8n
from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.homes import scratch
from benchmarks.pipeline import prepare_run, runner_pass
from edgelab.machine import usable_cores
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from edgelab.settings.detect import DetectSettings

ROUNDS = 5
WARMUP = 5
BOUND = 0.5
"""INT8's latency over FP32's, where the CPU multiplies and adds bytes in one instruction."""

_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp", "i8mm"})


def measure(folder: Path) -> Section:
    """Medians of inference, one thread and all cores; precisions in turns."""
    home = scratch(folder, "precisions")
    model, photos = yolov8n(folder)
    section = Section(
        "Precisions",
        "YOLOv8n at 640 px with random weights, converted by the lab on copies of two photos; "
        f"median time of one inference in the runner, {ROUNDS} rounds in turns. x FP32: to FP32 in "
        f"the same round. This CPU has {_dot_products()}; the bound is meant for one that has.",
    )
    rows = []
    for threads in sorted({1, usable_cores()}):
        settings = DetectSettings(
            model=str(model), dataset=str(photos), threads=threads, warmup=WARMUP,
            precisions=DETECTOR_PRECISIONS,
        )  # fmt: skip
        run = prepare_run(home, settings)
        taken: dict[Precision, list[float]] = {each: [] for each in DETECTOR_PRECISIONS}
        for _ in range(ROUNDS):
            for precision, values in taken.items():
                values.append(runner_pass(home, run, precision).infer_ms or 0)
        fp32 = Spread.of(taken[Precision.FP32])
        for precision, values in taken.items():
            spread = Spread.of(values)
            ratio = spread.over(fp32)
            rows.append(
                (f"{precision}, {threads} threads", with_noise(spread, ".2f"), f"{ratio:.2f}")
            )
            if precision is Precision.INT8:
                section.budgets.append(
                    Budget(f"INT8 over FP32 at 640 px, {threads} threads", BOUND, ratio, "")
                )
    section.tables.append(Table(("", "ms an inference", "x FP32"), tuple(rows)))
    return section


def _dot_products() -> str:
    words = Path("/proc/cpuinfo").read_text().split()
    return ", ".join(sorted(_DOT_PRODUCTS.intersection(words))) or "no 8-bit dot products"
