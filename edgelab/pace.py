"""How long an answer will take: as in earlier runs of the model, else at least, by calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgelab import words
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.settings.common import Precision

LeastSeconds = Callable[[Precision], float | None]
"""The floor of one image or question in a precision; None where it is not known."""


@dataclass(frozen=True)
class Pace:
    """Milliseconds an image or question by precision: the median as `measured`, else a floor."""

    measured: Mapping[Precision, float] = field(default_factory=dict)
    least: Mapping[Precision, float] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """fp32 23.1 ms, int8 11.4 ms; at least nf4 812 ms."""
        parts = (_list(self.measured), "at least " + _list(self.least) if self.least else "")
        return "; ".join(part for part in parts if part) or words.UNKNOWN

    def document(self) -> dict[str, dict[str, float]]:
        """For JSON: `measured` and `least`, ms by precision."""
        parts = {"measured": self.measured, "least": self.least}
        return {name: {p.value: ms for p, ms in part.items()} for name, part in parts.items()}


def pace_of(
    model: str,
    precisions: Sequence[Precision],
    past: Iterable[RunRecord],
    least_s: LeastSeconds | None = None,
) -> Pace:
    """Of the newest pass of each precision; the floor of those that were not measured."""
    measured = _measured(model, past)
    floors = {
        each: 1000 * seconds
        for each in precisions
        if each not in measured and least_s is not None and (seconds := least_s(each))
    }
    return Pace({each: measured[each] for each in precisions if each in measured}, floors)


def _measured(model: str, past: Iterable[RunRecord]) -> dict[Precision, float]:
    """Medians of finished passes; issued all at once, no image has a time of its own."""
    found: dict[Precision, float] = {}
    for record in past:
        if record.spec.settings.model != model or record.spec.settings.overlaps:
            continue
        for summary in record.passes:
            median = summary.latency.p50_ms if summary.latency else None
            if summary.outcome is Outcome.FINISHED and median is not None:
                found.setdefault(summary.precision, median)
    return found


def _list(times: Mapping[Precision, float]) -> str:
    return ", ".join(f"{each} {words.milliseconds(ms)} ms" for each, ms in times.items())
