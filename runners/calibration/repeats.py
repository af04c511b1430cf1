"""Repeating a test until its time is settled, or until the time for it is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgelab.calibration import Rate, Resource
from edgelab.executed import ExecutedPrecision


@dataclass(frozen=True)
class Budget:
    """How long one test may take, s, and when it is settled: `spread` as in `Rate`."""

    shortest_s: float = 1.0
    longest_s: float = 3.5
    fewest: int = 10
    spread: float = 0.03


@dataclass(frozen=True)
class Times:
    """Seconds of each repeat, in the order they were taken; all of them, outliers too."""

    seconds: tuple[float, ...]
    settled: bool = True

    @property
    def spread(self) -> float:
        """Interquartile range over median."""
        quarter, half, three_quarters = np.percentile(self.seconds, (25, 50, 75))
        return float((three_quarters - quarter) / half)

    def rate(
        self,
        test: str,
        resource: Resource,
        threads: int,
        work: int,
        executed: ExecutedPrecision | None = None,
        how: str = "",
    ) -> Rate:
        """The rate of a test of which each repeat does `work` operations or bytes."""
        return Rate(
            test=test,
            resource=resource,
            threads=threads,
            best=work / min(self.seconds),
            median=work / float(np.median(self.seconds)),
            spread=self.spread,
            repeats=len(self.seconds),
            work=work,
            settled=self.settled,
            executed=executed,
            how=how,
        )


def repeat(work: Callable[[], object], budget: Budget) -> Times:
    """Time `work` again and again, after one call that does not count.

    Ends when it is settled: after the shortest time and the fewest repeats, with a spread within
    the budget's; or when the longest time is up, whatever the number of repeats.
    """
    work()
    seconds: list[float] = []
    begun = time.perf_counter_ns()
    while True:
        start = time.perf_counter_ns()
        work()
        end = time.perf_counter_ns()
        seconds.append((end - start) / 1e9)
        elapsed = (end - begun) / 1e9
        times = Times(tuple(seconds))
        enough = len(seconds) >= budget.fewest and elapsed >= budget.shortest_s
        if enough and times.spread <= budget.spread:
            return times
        if elapsed >= budget.longest_s:
            return Times(times.seconds, settled=False)
