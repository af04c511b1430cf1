"""What a run went through while it measured, and whether that spoiled its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import msgspec

from edgelab.records import BoardFacts, Sample

PERIOD_S = 1.0
GAP_S = 3 * PERIOD_S
"""Without a sample for longer than this, nothing is known of the time in between."""

COVERAGE_NEEDED = 0.9
CONTENDED_SHARE = 0.05
"""Of the whole machine's CPU: what others may use before they count."""
CONTENDED_LEAST = 10.0
"""% of one core: less than this is the measurement's own error."""
SWAPPED_PAGES = 256
MAJOR_FAULTS = 100

COOLING_SENSOR = "throttling"


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True):
    """The board while it measured. None: the board does not tell. CPU in % of one core.

    `observer_cpu`: what supervisor and consoles used, the cost of watching.
    """

    samples: int = 0
    seconds: float = 0.0
    coverage: float | None = None
    throttled_s: float | None = None
    throttled_by: tuple[str, ...] = ()
    capped_mhz: float | None = None
    others_cpu: float | None = None
    contended: bool = False
    swapped_pages: int | None = None
    major_faults: int | None = None
    cpu_mean: float | None = None
    temperature_start: float | None = None
    temperature_max: float | None = None
    frequency_min_mhz: float | None = None
    observer_cpu: float | None = None
    observer_memory: int | None = None

    @property
    def throttled_share(self) -> float | None:
        """Share of the covered time in which the board was slowed down."""
        covered = (self.coverage or 0) * self.seconds
        return self.throttled_s / covered if self.throttled_s is not None and covered else None

    @property
    def swapped(self) -> bool:
        """Memory had to wait for the disk."""
        return (self.swapped_pages or 0) >= SWAPPED_PAGES or (
            self.major_faults or 0
        ) >= MAJOR_FAULTS

    @property
    def verdict(self) -> str:
        """In words: clean, or all that spoiled it."""
        if self.coverage is None:
            return "not known"
        return ", ".join(self._spoiled()) or "clean"

    def _spoiled(self) -> list[str]:
        words = []
        if self.throttled_s:
            share = self.throttled_share or 0
            words.append(f"throttled {self.throttled_s:.0f} s ({100 * share:.0f} %)")
        if self.contended:
            words.append(f"contended (others took {(self.others_cpu or 0) / 100:.1f} cores)")
        if self.swapped:
            pages, faults = self.swapped_pages or 0, self.major_faults or 0
            words.append(f"swapped ({pages} pages, {faults} major faults)")
        if (self.coverage or 0) < COVERAGE_NEEDED:
            words.append(f"low coverage ({100 * (self.coverage or 0):.0f} %)")
        return words


class Window(NamedTuple):
    """A stretch of measuring, in seconds of the monotonic clock."""

    start: float
    end: float


@dataclass(frozen=True)
class _Stretch:
    """A sample and the seconds of the windows that it speaks for: those since the one before."""

    sample: Sample
    seconds: float


def conditions(
    samples: Sequence[Sample], facts: BoardFacts | None, windows: Sequence[Window]
) -> Conditions:
    """Judge the stretches of `samples` (in the order of time) that lie inside `windows`."""
    stretches = _stretches(samples, windows)
    total = sum(window.end - window.start for window in windows)
    if not stretches or total <= 0:
        return Conditions(seconds=total)
    inside = [stretch.sample for stretch in stretches]
    others = _weighted([(s.sample.others_cpu, s.seconds) for s in stretches])
    heat = [sample.hottest for sample in inside if sample.hottest is not None]
    return Conditions(
        samples=len(inside),
        seconds=total,
        coverage=min(1.0, sum(stretch.seconds for stretch in stretches) / total),
        throttled_s=_throttled(stretches, samples, facts),
        throttled_by=tuple(sorted({name for sample in inside for name in sample.cooling})),
        capped_mhz=_capped(inside, facts),
        others_cpu=others,
        contended=others is not None and others > _tolerated(len(inside[0].cpu)),
        swapped_pages=_growth([sample.swapped_pages for sample in inside]),
        major_faults=_growth([sample.runner_major_faults for sample in inside]),
        cpu_mean=_mean([fmean(sample.cpu) for sample in inside if sample.cpu]),
        temperature_start=heat[0] if heat else None,
        temperature_max=max(heat, default=None),
        frequency_min_mhz=min((f for s in inside for f in s.frequency_mhz), default=None),
        observer_cpu=_mean(
            [
                s.supervisor_cpu + (s.console_cpu or 0)
                for s in inside
                if s.supervisor_cpu is not None
            ]
        ),
        observer_memory=max((s.supervisor_memory or 0 for s in inside), default=0) or None,
    )


def slowed(sample: Sample, reference_mhz: Sequence[float]) -> bool:
    """Whether the board was slowed down: by a cooling state, or by a cap below the reference."""
    pairs = zip(sample.frequency_cap_mhz, reference_mhz, strict=False)
    return bool(sample.cooling) or any(cap < reference - 1 for cap, reference in pairs)


def slowed_times(samples: Sequence[Sample], facts: BoardFacts | None) -> list[float]:
    """When the board was found slowed down, s of the monotonic clock."""
    reference = reference_frequencies(samples, facts)
    return [sample.t for sample in samples if slowed(sample, reference)]


def reference_frequencies(samples: Sequence[Sample], facts: BoardFacts | None) -> tuple[float, ...]:
    """The cap of each policy that does not count as throttling.

    Where cooling states are shown, a lower cap that never moves is somebody's setting: the highest
    cap seen is the reference. Where none are shown, only the hardware's own limit can be.
    """
    if facts is None:
        return ()
    if COOLING_SENSOR in facts.absent:
        return tuple(policy.hardware_max_mhz or 0.0 for policy in facts.policies)
    caps = [sample.frequency_cap_mhz for sample in samples if sample.frequency_cap_mhz]
    return tuple(max(policy) for policy in zip(*caps, strict=True)) if caps else ()


def _stretches(samples: Sequence[Sample], windows: Sequence[Window]) -> list[_Stretch]:
    stretches = []
    before: float | None = None
    for sample in samples:
        start = sample.t - PERIOD_S if before is None else before
        if sample.t - start > GAP_S:
            start = sample.t - PERIOD_S
        seconds = sum(max(0.0, min(sample.t, w.end) - max(start, w.start)) for w in windows)
        if seconds > 0:
            stretches.append(_Stretch(sample, seconds))
        before = sample.t
    return stretches


def _throttled(
    stretches: Sequence[_Stretch], samples: Sequence[Sample], facts: BoardFacts | None
) -> float | None:
    reference = reference_frequencies(samples, facts)
    can_tell = bool(reference) or (facts is not None and COOLING_SENSOR not in facts.absent)
    if not can_tell:
        return None
    return sum(stretch.seconds for stretch in stretches if slowed(stretch.sample, reference))


def _capped(samples: Sequence[Sample], facts: BoardFacts | None) -> float | None:
    """The lowest cap under the hardware's own limit, whoever set it."""
    if facts is None:
        return None
    limits = [policy.hardware_max_mhz or 0.0 for policy in facts.policies]
    caps = [
        cap
        for sample in samples
        for cap, limit in zip(sample.frequency_cap_mhz, limits, strict=False)
        if cap < limit - 1
    ]
    return min(caps, default=None)


def _tolerated(cores: int) -> float:
    return max(CONTENDED_LEAST, CONTENDED_SHARE * 100 * cores)


def _growth(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return max(0, known[-1] - known[0]) if known else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _weighted(values: Sequence[tuple[float | None, float]]) -> float | None:
    known = [(value, weight) for value, weight in values if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
