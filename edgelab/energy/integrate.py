"""From readings to joules over any window of time, without inventing what was not seen.

Times are seconds of one monotonic clock. Both integrators keep running sums, so that a window
costs two look-ups, in a live panel too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from edgelab.records import PowerReading, PowerSource

GAP_PERIODS = 3
"""Readings further apart than so many periods have a gap between them, which is not bridged."""

ENOUGH = 0.9
"""The share of a window that must be covered before anything is said of its rest."""


_Sums = tuple[float, float, float, float]  # J, s, Σ Δ² h, Σ h²
_NOTHING: _Sums = (0.0, 0.0, 0.0, 0.0)


class Integral(NamedTuple):
    """Energy over the covered part of a window.

    `variance`: of `joules` from sampling and resolution, J². The source's accuracy is not in it.
    """

    joules: float = 0.0
    seconds: float = 0.0
    variance: float = 0.0

    @property
    def watts(self) -> float | None:
        """Mean power over the covered part."""
        return self.joules / self.seconds if self.seconds > 0 else None


class Trapezoid:
    """Integrates watts by the trapezoid rule; a window's edges are interpolated.

    Uncertainty of a window of n intervals h_i, after the GUM (JCGM 100:2008):

    - sampling (type A): u² = s² Σ h_i², with s² = ½ mean(Δ²), where Δ is the step between
      neighbours. The mean-square successive difference (von Neumann et al., Ann. Math. Stat. 12,
      1941) leaves a slow drift out, which the trapezoids follow. A load that oscillates in step
      with the sampling is not seen.
    - resolution q of the readings (F.2.2.1): u² = (T q)² / 12. The rounding of a steady load is
      the same in all readings, so that it does not average out.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest = longest_s
        self._t = array("d")
        self._watts = array("d")
        # Up to each reading.
        self._sums = tuple(array("d") for _ in range(4))
        self._decimals = 0

    def add(self, t: float, watts: float) -> None:
        """Take the next reading; one that is not later than the last is left out."""
        step = _NOTHING
        if self._t:
            if t <= self._t[-1]:
                return
            step = self._step(self._t[-1], self._watts[-1], t, watts)
        for sums, value in zip(self._sums, step, strict=True):
            sums.append(value + (sums[-1] if sums else 0.0))
        self._t.append(t)
        self._watts.append(watts)
        while self._decimals < 6 and abs(round(watts, self._decimals) - watts) > 1e-9:
            self._decimals += 1

    def over(self, start: float, end: float) -> Integral:
        """Energy between two times."""
        joules, seconds, rough, squares = (
            after - before
            for before, after in zip(self._until(start), self._until(end), strict=True)
        )
        if end <= start or seconds <= 0:
            return Integral()
        sampling = rough / seconds / 2 * squares
        resolution = (seconds * 10.0**-self._decimals) ** 2 / 12
        return Integral(joules, seconds, sampling + resolution)

    def points(self) -> list[tuple[float, float]]:
        """All readings: time, watts."""
        return list(zip(self._t, self._watts, strict=True))

    def _until(self, t: float) -> tuple[float, ...]:
        """The running sums at any time."""
        index = bisect_right(self._t, t) - 1
        if index < 0:
            return _NOTHING
        sums = tuple(column[index] for column in self._sums)
        if index + 1 == len(self._t):
            return sums
        t0, t1, w0, w1 = *self._t[index : index + 2], *self._watts[index : index + 2]
        part = (t - t0) / (t1 - t0)
        joules, seconds, rough, squares = self._step(t0, w0, t1, w1)
        if seconds:
            joules = (t - t0) * (w0 + (w1 - w0) * part / 2)
        partial = (joules, seconds * part, rough * part, squares * part)
        return tuple(whole + more for whole, more in zip(sums, partial, strict=True))

    def _step(self, t0: float, w0: float, t1: float, w1: float) -> _Sums:
        """What the interval between two readings adds to the sums; nothing across a gap."""
        h = t1 - t0
        if h > self._longest:
            return _NOTHING
        return (h * (w0 + w1) / 2, h, (w1 - w0) ** 2 * h, h * h)


class Counter:
    """Takes energy as the difference of a running total, which bridges its own gaps.

    An edge of the window that falls between readings is interpolated; one that falls into a gap
    moves to the reading inside the window, because how the gap's energy splits is not known.

    A coarse counter (a plug's, which may move once a minute) is behind the truth by anything up to
    its step q, at both edges: u² = 2 q²/12. The step is the largest that was seen. A `fine` one, a
    chip's own, has steps that do not matter.
    """

    def __init__(self, longest_s: float, fine: bool) -> None:
        self._longest = longest_s
        self._fine = fine
        self._t = array("d")
        self._joules = array("d")
        self._largest_step = 0.0

    def add(self, t: float, joules: float) -> None:
        """Take the next reading; one that is not later, or less than the last, is left out."""
        if self._t:
            if t <= self._t[-1] or joules < self._joules[-1]:
                return
            if t - self._t[-1] <= self._longest:
                self._largest_step = max(self._largest_step, joules - self._joules[-1])
        self._t.append(t)
        self._joules.append(joules)

    def over(self, start: float, end: float) -> Integral:
        """Energy between two times."""
        if not self._t:
            return Integral()
        start, end = self._into(start, self._t[0], 1), self._into(end, self._t[-1], 0)
        if end <= start:
            return Integral()
        variance = 0.0 if self._fine else self._largest_step**2 / 6
        return Integral(self._at(end) - self._at(start), end - start, variance)

    @property
    def latest_watts(self) -> float | None:
        """Mean watts of the last interval."""
        if len(self._t) < 2:
            return None
        return (self._joules[-1] - self._joules[-2]) / (self._t[-1] - self._t[-2])

    def points(self) -> list[tuple[float, float]]:
        """Mean watts of each interval, at its end."""
        return [
            (t1, (j1 - j0) / (t1 - t0))
            for t0, t1, j0, j1 in zip(
                self._t, self._t[1:], self._joules, self._joules[1:], strict=False
            )
        ]

    def _into(self, t: float, bound: float, side: int) -> float:
        """An edge of the window, moved to where the counter is known. side: 1 start, 0 end."""
        if (t < bound) if side else (t > bound):
            return bound
        index = bisect_left(self._t, t)
        if index in (0, len(self._t)) or self._t[index] == t:
            return t
        if self._t[index] - self._t[index - 1] <= self._longest:
            return t
        return self._t[index - 1 + side]

    def _at(self, t: float) -> float:
        index = bisect_left(self._t, t)
        if self._t[index] == t:
            return self._joules[index]
        t0, t1, j0, j1 = *self._t[index - 1 : index + 1], *self._joules[index - 1 : index + 1]
        return j0 + (j1 - j0) * (t - t0) / (t1 - t0)


class PowerTrace:
    """All readings of one source."""

    def __init__(self, source: PowerSource) -> None:
        self.source = source
        longest = GAP_PERIODS * source.period_s
        self._power = Trapezoid(longest)
        self._counter = Counter(longest, fine=source.method == "counter")
        self.last: PowerReading | None = None

    def add(self, reading: PowerReading) -> None:
        """Take the next reading, in the order of time."""
        self.last = reading
        if reading.watts is not None:
            self._power.add(reading.t, reading.watts)
        if reading.joules is not None:
            self._counter.add(reading.t, reading.joules)

    def over(self, start: float, end: float) -> Integral:
        """Energy between two times, by watts or by counter, whichever knows it better.

        The one that covers enough comes before the one that does not; then decides the smaller
        uncertainty of the mean power.
        """

        def quality(integral: Integral) -> tuple[bool, float]:
            covered = integral.seconds
            return covered < ENOUGH * (end - start), integral.variance / covered**2

        ways = (self._power.over(start, end), self._counter.over(start, end))
        return min((way for way in ways if way.seconds > 0), key=quality, default=Integral())

    @property
    def watts(self) -> float | None:
        """Watts of the newest reading; of a counter, the mean since the one before."""
        if self.last is None or self.last.watts is not None:
            return None if self.last is None else self.last.watts
        return self._counter.latest_watts

    def points(self) -> list[tuple[float, float]]:
        """Time and watts of each reading; of a counter without watts, means between readings."""
        return self._power.points() or self._counter.points()
