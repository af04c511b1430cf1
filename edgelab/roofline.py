"""What physics asks for: the least time that a board needs for a model.

The roofline model (Williams, Waterman, Patterson: "Roofline: an insightful visual performance model
for multicore architectures", Communications of the ACM 52(4), 2009): a computation lasts at least
as long as its operations take at the attained arithmetic rate, and at least as long as its bytes
take at the attained memory bandwidth. The rates are those of `edgelab.calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from edgelab.calibration import Calibration, Resource
from edgelab.graph_cost import GraphCost
from edgelab.record import PassSummary, RunRecord
from edgelab.settings.common import Precision
from edgelab.words import UNKNOWN, milliseconds

# From the widest to the narrowest format: what is stored in a narrow one can be computed in a
# wider one.
_BY_WIDTH = (Precision.FP32, Precision.FP16, Precision.INT8)


@dataclass(frozen=True)
class Floor:
    """The least time of one inference, ms. `complete`: nothing of the graph is left out."""

    compute_ms: float
    memory_ms: float
    complete: bool

    @property
    def ms(self) -> float:
        """The higher of the two roofs."""
        return max(self.compute_ms, self.memory_ms)

    @property
    def bound_by(self) -> Literal["compute", "memory"]:
        """Which roof it is."""
        return "compute" if self.compute_ms >= self.memory_ms else "memory"

    def share(self, measured_ms: float) -> float:
        """Which part of what the board can do was reached; above 1: the calibration is too low.

        `measured_ms`: time of one inference alone, decoding and post-processing left out. Raises
        ValueError where it is not above 0.
        """
        if not measured_ms > 0:
            raise ValueError(f"measured_ms must be above 0, got {measured_ms}")
        return self.ms / measured_ms


def floor_of(cost: GraphCost, calibration: Calibration, threads: int) -> Floor | None:
    """The floor on the calibrated board with that many threads; None where a rate is missing.

    Compulsory bytes count as far as they exceed the last-level cache: what fits in need not come
    from memory again for every inference.
    """
    rates = {precision: _rate(precision, calibration, threads) for precision in cost.flops}
    bandwidth = calibration.attained(Resource.MEMORY, threads)
    if bandwidth is None or not all(rates.values()):
        return None
    seconds = sum(count / (rates[precision] or 1.0) for precision, count in cost.flops.items())
    transferred = max(0, cost.compulsory_bytes - (calibration.cache_bytes or 0))
    return Floor(1000 * seconds, 1000 * transferred / bandwidth, complete=not cost.unknown)


@dataclass(frozen=True)
class Reach:
    """How near a pass came to the floor; `share` None: too few images for a median."""

    floor: Floor
    share: float | None

    @property
    def words(self) -> str:
        """One short phrase for a person."""
        part = "" if self.floor.complete else ", a part not counted"
        if self.share is None:
            return f"too few images to tell (floor {milliseconds(self.floor.ms)} ms)"
        return (
            f"{share_words(self.share)} of what this board can do "
            f"(floor {milliseconds(self.floor.ms)} ms, {self.floor.bound_by}{part})"
        )


def reach_of(run: RunRecord, summary: PassSummary, calibration: Calibration) -> Reach | None:
    """How near a pass of `run` came to the floor of the calibrated board.

    `calibration` must be that of the run's own board: `read_calibration(home, run.environment)`.
    None where the cost of the model or a rate of the board is not known.
    """
    if summary.cost is None:
        return None
    floor = floor_of(summary.cost, calibration, run.spec.settings.threads)
    if floor is None:
        return None
    measured = summary.infer_p50_ms
    return Reach(floor, floor.share(measured) if measured else None)


def with_floors(run: RunRecord, calibration: Calibration) -> RunRecord:
    """The run with the floor of each pass, where cost and rates are known."""
    return msgspec.structs.replace(
        run, passes=tuple(_with_floor(run, summary, calibration) for summary in run.passes)
    )


def _with_floor(run: RunRecord, summary: PassSummary, calibration: Calibration) -> PassSummary:
    reach = reach_of(run, summary, calibration)
    if reach is None:
        return summary
    return msgspec.structs.replace(summary, floor_ms=reach.floor.ms, floor_share=reach.share)


def share_words(share: float | None) -> str:
    """A share as a person reads it: 63 %, or what to do about one that cannot be."""
    if share is None:
        return UNKNOWN
    percent = round(100 * share)
    return f"{percent} %" if percent <= 100 else f"{percent} %: calibrate again"


def _rate(precision: Precision, calibration: Calibration, threads: int) -> float | None:
    """Operations a second: the best of the format and of all wider ones."""
    formats = _BY_WIDTH[: _BY_WIDTH.index(precision) + 1]
    rates = [calibration.attained(Resource(each.value), threads) for each in formats]
    return max((rate for rate in rates if rate), default=None)
