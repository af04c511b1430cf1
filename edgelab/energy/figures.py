"""The energy of one window: figures with their uncertainty, in words, and which may be ranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from edgelab import words
from edgelab.energy.integrate import ENOUGH, Integral, PowerTrace
from edgelab.records import Method, Scope

COVERAGE_FACTOR = 2.0
"""Expanded uncertainty is this many standard ones: about 95 % (GUM, JCGM 100:2008, 6.2.1)."""

NO_READINGS = "no readings"
LOW_COVERAGE = "low coverage"
NOT_RESOLVED = "not resolved"


class EnergyFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source says of one measured window.

    `coverage`: covered share of the window, 0 to 1. `joules`: over the covered part, never scaled
    up. `net_joules`: without what the idle board would have used in that time. An item's joules
    are the mean power of the covered part x the window's seconds an item; None below a coverage of
    0.9 and where the energy lies within its uncertainty. Every `*uncertainty*` is expanded (k = 2,
    about 95 %), in the unit of its figure.
    """

    source: str
    method: Method
    scope: Scope
    window_s: float
    coverage: float = 0.0
    mean_watts: float | None = None
    joules: float | None = None
    uncertainty_joules: float | None = None
    baseline_watts: float | None = None
    net_joules: float | None = None
    net_uncertainty_joules: float | None = None
    items: int = 0
    joules_per_item: float | None = None
    uncertainty_per_item: float | None = None
    net_joules_per_item: float | None = None
    net_uncertainty_per_item: float | None = None

    @property
    def estimated(self) -> bool:
        """True where a model guessed: every such figure wears `~`."""
        return self.method == "estimated"

    @property
    def covered(self) -> bool:
        """True where enough of the window was seen to speak of all of it."""
        return self.coverage >= ENOUGH

    @property
    def resolved(self) -> bool:
        """True where the net energy (the total without a baseline) exceeds its uncertainty."""
        if self.net_joules is not None:
            return _exceeds(self.net_joules, self.net_uncertainty_joules)
        return _exceeds(self.joules, self.uncertainty_joules)

    @property
    def reason(self) -> str:
        """Why there is less than a full figure; empty where nothing is missing."""
        if self.joules is None:
            return NO_READINGS
        if not self.covered:
            return f"{LOW_COVERAGE} ({100 * self.coverage:.0f}%)"
        return "" if self.resolved else NOT_RESOLVED

    def per_item_words(self) -> str:
        """A table's cell: `3.21 J`, `~3.2 J`, or why there is none."""
        return self._cell(self.joules_per_item, self.uncertainty_per_item)

    def net_per_item_words(self) -> str:
        """As `per_item_words`, without the idle board's share; `–` without a baseline."""
        if self.baseline_watts is None:
            return words.UNKNOWN
        return self._cell(self.net_joules_per_item, self.net_uncertainty_per_item)

    def words(self, item: str = "image") -> str:
        """One line with everything that must stand beside the figure."""
        origin = f"{self.source}: {self.method}, {self.scope}"
        if self.joules is None or self.mean_watts is None:
            return f"{NO_READINGS} ({origin})"
        total = self._with_uncertainty(self.joules, self.uncertainty_joules, "J")
        parts = [total, self._with_uncertainty(self.mean_watts, None, "W")]
        if self.net_joules is not None:
            net = self._with_uncertainty(self.net_joules, self.net_uncertainty_joules, "J")
            parts.append(f"net {net}" if self.resolved else f"net {NOT_RESOLVED}")
        if self.joules_per_item is not None:
            each = self._with_uncertainty(self.joules_per_item, self.uncertainty_per_item, "J")
            parts.append(f"{each} an {item}" if item[:1] in "aeiou" else f"{each} a {item}")
        if not self.covered:
            parts.append(self.reason)
        return f"{', '.join(parts)} ({origin})"

    def _cell(self, joules: float | None, uncertainty: float | None) -> str:
        if joules is not None:
            return self._mark(f"{_rounded(joules, uncertainty)} J")
        return self.reason or words.UNKNOWN

    def _with_uncertainty(self, value: float, uncertainty: float | None, unit: str) -> str:
        shown = _rounded(value, uncertainty)
        if uncertainty is not None:
            shown += f" ± {_rounded(uncertainty, uncertainty)}"
        return self._mark(f"{shown} {unit}")

    def _mark(self, text: str) -> str:
        return f"~{text}" if self.estimated else text


class Verdict(NamedTuple):
    """Whether two figures may stand in one ranking, and if not, why."""

    comparable: bool
    reason: str = ""


def comparable(a: EnergyFigures, b: EnergyFigures) -> Verdict:
    """Say whether `a` and `b` may be ranked against each other.

    An estimate is never ranked with a measurement, nor the wall with the board's input; two
    estimates only by the same model. What was not seen enough is not ranked at all. A figure that
    is not resolved is None and has no rank of its own.
    """
    for figures in (a, b):
        if not figures.covered:
            return Verdict(False, figures.reason)
    if a.estimated != b.estimated:
        return Verdict(False, "an estimate is not ranked with a measurement")
    if a.estimated and a.source != b.source:
        return Verdict(False, "estimates of different models are not ranked")
    if a.scope != b.scope:
        return Verdict(False, f"{a.scope} is not ranked with {b.scope}")
    return Verdict(True)


def figures_of(
    trace: PowerTrace,
    start: float,
    end: float,
    items: int = 0,
    baseline: tuple[float, float] | None = None,
) -> EnergyFigures:
    """The figures of the window from `start` to `end`: `figures_over` with one window."""
    return figures_over(trace, [(start, end)], items, baseline)


def figures_over(
    trace: PowerTrace,
    windows: Sequence[tuple[float, float]],
    items: int = 0,
    baseline: tuple[float, float] | None = None,
) -> EnergyFigures:
    """The figures of `windows` (start, end) taken together, in which `items` were done.

    `baseline`: start and end of the idle time, None where there was none; it must be covered as
    well as the window must.

    Uncertainty after the GUM, root sum of squares. Of the total E: the accuracy a of the source
    (a E)², sampling and resolution (see `integrate`). Of the net N = E - B T: (a N)², because total
    and baseline share the instrument's gain, fully correlated (GUM 5.2); then sampling and
    resolution of both, the baseline's scaled to the covered time T.
    """
    source = trace.source
    parts = [trace.over(start, end) for start, end in windows]
    # Readings of different windows err independently: their variances add.
    whole = Integral(*(math.fsum(column) for column in zip(*parts, strict=True)))
    window = sum(max(0.0, end - start) for start, end in windows)
    blank = EnergyFigures(source.source, source.method, source.scope, window, items=items)
    if whole.watts is None or window <= 0:
        return blank
    accuracy = source.accuracy
    coverage = min(1.0, whole.seconds / window)
    spread = _expanded(accuracy * whole.joules, whole.variance)
    # The covered part speaks for the whole window only where little is missing.
    speaks = items and coverage >= ENOUGH and _exceeds(whole.joules, spread)
    share = window / whole.seconds / items if speaks else None
    figures = msgspec.structs.replace(
        blank,
        coverage=coverage,
        mean_watts=whole.watts,
        joules=whole.joules,
        uncertainty_joules=spread,
        joules_per_item=_times(whole.joules, share),
        uncertainty_per_item=_times(spread, share),
    )
    idle = _idle(trace, baseline)
    return figures if idle is None else _with_net(figures, whole, idle, accuracy, share)


def _with_net(
    figures: EnergyFigures, whole: Integral, idle: Integral, accuracy: float, share: float | None
) -> EnergyFigures:
    """The figures completed by what the work itself used."""
    scale = whole.seconds / idle.seconds
    net = whole.joules - idle.joules * scale
    spread = _expanded(accuracy * net, whole.variance + idle.variance * scale**2)
    if not _exceeds(net, spread):
        share = None
    return msgspec.structs.replace(
        figures,
        baseline_watts=idle.watts,
        net_joules=net,
        net_uncertainty_joules=spread,
        net_joules_per_item=_times(net, share),
        net_uncertainty_per_item=_times(spread, share),
    )


def _idle(trace: PowerTrace, baseline: tuple[float, float] | None) -> Integral | None:
    if baseline is None:
        return None
    since, until = baseline
    idle = trace.over(since, until)
    return idle if idle.seconds > 0 and idle.seconds >= ENOUGH * (until - since) else None


def _expanded(gain: float, variance: float) -> float:
    return COVERAGE_FACTOR * math.sqrt(gain**2 + variance)


def _exceeds(value: float | None, uncertainty: float | None) -> bool:
    return value is not None and value > (uncertainty or 0.0)


def _times(value: float, factor: float | None) -> float | None:
    return None if factor is None else value * factor


def _rounded(value: float, uncertainty: float | None) -> str:
    """To two digits of the uncertainty (GUM 7.2.6), to three of the value where it has none."""
    digits, size = (2, uncertainty) if uncertainty else (3, abs(value))
    places = digits - 1 - math.floor(math.log10(size)) if size else digits
    return f"{value:.{max(0, places)}f}"
