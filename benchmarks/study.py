"""A study beside the same configurations as runs of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks.figures import Budget, Section, Spread, Table
from benchmarks.homes import scratch
from benchmarks.processes import edgelab_command, environment_of, timed
from edgelab.home import Home
from edgelab.settings.common import DETECTOR_PRECISIONS

MODELS = ("yolov8n-shapes", "ssdlite320-shapes")
THRESHOLDS = (0.3, 0.5, 0.7)
BOUND = 0.40

_KINDS = ("from nothing", "again, conversions made")


def measure(folder: Path) -> Section:
    """The study and the 18 runs, each in a lab of its own: from nothing, and once more."""
    labs = {name: scratch(folder, name) for name in ("study", "separate")}
    study, separate = [], []
    for _ in _KINDS:
        study.append(_wall_s(labs["study"], _study_command()))
        separate.append(sum(_wall_s(labs["separate"], each) for each in _run_commands()))
    whole = [study, separate, [a / b for a, b in zip(study, separate, strict=True)]]
    rows = zip(_KINDS, *whole, strict=True)
    return Section(
        "A study",
        "`edgelab study counting-cv --dataset shapes`, 18 configurations from 6 passes, beside 18 "
        "`edgelab run detect` of one precision and threshold each, one after the other in a lab "
        "that keeps conversions from run to run. Wall time from the first start to the last end, "
        "supervisors and preparation included; once each, so noise shows in neither.",
        [
            Table(
                ("", "study, s", "18 runs, s", "study / runs"),
                tuple((kind, f"{a:.1f}", f"{b:.1f}", f"{ratio:.2f}") for kind, a, b, ratio in rows),
            )
        ],
        [
            Budget(f"study over 18 runs, {kind}", BOUND, Spread.of([ratio]), "")
            for kind, ratio in zip(_KINDS, whole[2], strict=True)
        ],
    )


def _study_command() -> list[str]:
    return edgelab_command("study", "counting-cv", "--dataset", "shapes")


def _run_commands() -> Iterator[list[str]]:
    for model, precision, threshold in product(MODELS, DETECTOR_PRECISIONS, THRESHOLDS):
        yield edgelab_command(
            "run", "detect", "--model", model, "--dataset", "shapes",
            "--precision", precision, "--threshold", str(threshold),
        )  # fmt: skip


def _wall_s(home: Home, command: list[str]) -> float:
    return timed(command, environment_of(home.root), home.root).wall_s
