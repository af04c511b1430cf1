"""One detector in all precisions at the size people deploy: what a conversion gains in speed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from benchmarks.detectors import yolov8n
from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.homes import scratch
from benchmarks.pipeline import prepare_run, runner_pass
from benchmarks.processes import run_program
from edgelab.home import Home
from edgelab.machine import usable_cores
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision
from edgelab.settings.convert import Activations
from edgelab.settings.detect import DetectSettings
from runners.converted import Conversion
from runners.prepare import prepared_model
from runners.prepared import read_prepared, write_prepared

ROUNDS = 5
WARMUP = 5
BOUND = 0.5
"""INT8's latency over FP32's, where the CPU multiplies and adds bytes in one instruction."""

MADE = (Precision.FP32, Precision.FP16)
ORDER = (*MADE, Precision.INT8)

_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp", "i8mm"})
_VECTORS = frozenset({"avx2", "avx512f", "asimd", "neon"})


def measure(folder: Path) -> Section:
    """Medians of inference, one thread and all cores; precisions in turns."""
    home = scratch(folder, "precisions")
    model, photos = yolov8n(folder)
    integers = quantised(home, model, photos)
    dot_products = instructions(_DOT_PRODUCTS)
    section = Section("Precisions", _method(dot_products))
    rows: list[tuple[str, ...]] = []
    for threads in sorted({1, usable_cores()}):
        settings = DetectSettings(
            model=str(model), dataset=str(photos), threads=threads, warmup=WARMUP, precisions=MADE
        )
        taken = in_turns(home, with_integers(prepare_run(home, settings), integers))
        rows += _rows(threads, taken)
        if dot_products:
            ratio = taken[Precision.INT8].over(taken[Precision.FP32])
            what = f"INT8 over FP32 at 640 px, {threads} threads"
            section.budgets.append(Budget(what, BOUND, ratio, ""))
    section.tables.append(Table(("", "ms an inference", "x FP32"), tuple(rows)))
    return section


def quantised(home: Home, model: Path, photos: Path) -> Path:
    """The INT8 file, which no doctor has seen: see `benchmarks.programs.quantise`."""
    target = home.root / "int8.onnx"
    run_program("quantise", model, photos, target, Activations.U8, home=home.root)
    return target


def with_integers(run: RunFolder, integers: Path) -> RunFolder:
    """The run, made ready for that INT8 file, too."""
    prepared, data = read_prepared(run), integers.read_bytes()
    name = prepared.model(Precision.FP32).name
    file = Conversion(integers, hashlib.sha256(data).hexdigest(), len(data))
    added = prepared_model(name, prepared.input_size, file)
    write_prepared(run, replace(prepared, models={**prepared.models, Precision.INT8: added}))
    return run


def in_turns(home: Home, run: RunFolder) -> dict[Precision, Spread]:
    """Median ms of an inference of each precision, a value a round."""
    taken: dict[Precision, list[float]] = {precision: [] for precision in ORDER}
    for _ in range(ROUNDS):
        for precision, values in taken.items():
            values.append(runner_pass(home, run, precision).infer_ms or 0)
    return {precision: Spread.of(values) for precision, values in taken.items()}


def instructions(wanted: frozenset[str]) -> str:
    """Those that this CPU has, with commas; empty where it has none."""
    return ", ".join(sorted(wanted.intersection(Path("/proc/cpuinfo").read_text().split())))


def _method(dot_products: str) -> str:
    has = f"8-bit dot products ({dot_products})" if dot_products else "no 8-bit dot products"
    vectors = instructions(_VECTORS)
    return (
        "YOLOv8n of full width at 640 px with random weights. FP16 was converted by a run; INT8 "
        "(unsigned activations, calibrated on copies of two photos) was made by the lab's "
        "quantiser and seen by no doctor, who would refuse it: of a model that detects nothing "
        f"there is nothing to compare. Median time of one inference in the runner, {ROUNDS} rounds "
        "in turns. x FP32: to FP32 in the same round. "
        f"This CPU has {has}{f', but {vectors}' if vectors and not dot_products else ''}. INT8 at "
        f"most {BOUND:g} of FP32 is asked of a CPU that has them"
        f"{'' if dot_products else ': here the table tells what was seen, and nothing is asked'}."
    )


def _rows(threads: int, taken: dict[Precision, Spread]) -> Iterator[tuple[str, ...]]:
    for precision, spread in taken.items():
        ratio = spread.over(taken[Precision.FP32])
        yield f"{precision}, {threads} threads", with_noise(spread, ".2f"), f"{ratio:.2f}"
