"""Does it fit? Peak memory of a detector run, before it starts, from file sizes and past runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.settings.common import Precision

# Measured on x86-64 (docs/benchmarks.md): the process with numpy, OpenCV and ONNX Runtime loaded,
# and how many times its file's size a loaded FP32 detector takes, activations included.
RUNTIME_BYTES = 110_000_000
RESIDENT_PER_FILE_BYTE = 4.0
TIGHT_SHARE = 0.8


class Fit(StrEnum):
    """Whether a run has room in the memory that is free now."""

    FITS = "fits"
    TIGHT = "tight"
    NO = "no"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Forecast:
    """The peak that is expected, where the figure comes from, and what follows from it.

    `least`: what it can run in, where that is less: pages of files that the kernel can drop.
    """

    fit: Fit
    peak_bytes: int
    source: str
    least: int | None = None

    @property
    def needed_bytes(self) -> int:
        """What must be free."""
        return self.peak_bytes if self.least is None else self.least


def forecast(
    model: str,
    precision: Precision,
    model_bytes: int,
    available_bytes: int | None,
    past: Iterable[RunRecord] = (),
) -> Forecast:
    """Expect what the same model and precision took before; else estimate from the file's size.

    `available_bytes`: the kernel's MemAvailable, None where it does not tell.
    """
    measured = _measured(model, precision, past)
    if measured is None:
        peak = RUNTIME_BYTES + int(model_bytes * RESIDENT_PER_FILE_BYTE)
        source = "estimated from the file's size"
    else:
        peak, source = measured, "measured in an earlier run"
    return Forecast(fit_of(peak, peak, available_bytes), peak, source)


def _measured(model: str, precision: Precision, past: Iterable[RunRecord]) -> int | None:
    peaks = (
        summary.peak_memory_bytes
        for record in past
        if record.spec.settings.model == model
        for summary in record.passes
        if summary.precision is precision and summary.outcome is Outcome.FINISHED
    )
    return next((peak for peak in peaks if peak), None)


def fit_of(peak: int, needed: int, available: int | None) -> Fit:
    """The word for a peak of which `needed` bytes must be free."""
    if available is None:
        return Fit.UNKNOWN
    if needed > available:
        return Fit.NO
    return Fit.TIGHT if peak > TIGHT_SHARE * available else Fit.FITS
