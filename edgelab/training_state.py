"""A training so far: its curves, its rate, what is left."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from edgelab.record import TrainingSummary
from edgelab.records import EpochEnded, LearningEnded, LearningStarted, TrainStep

_RECENT = 50
"""Steps that the rate now is taken over."""


class Curve:
    """A value a step, kept in at most `most` points: means over ever longer stretches."""

    def __init__(self, most: int = 2000) -> None:
        self.points: list[tuple[int, float]] = []
        self._most = most
        self._stride = 1
        self._sum, self._count = 0.0, 0

    def add(self, step: int, value: float) -> None:
        """Take the value of the next step."""
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count < self._stride:
            return
        self.points.append((step, self._sum / self._count))
        self._sum, self._count = 0.0, 0
        if len(self.points) >= self._most:
            self._thin()

    def cut(self, step: int) -> None:
        """Forget what came after `step`."""
        del self.points[bisect_right(self.points, step, key=lambda point: point[0]) :]
        self._sum, self._count = 0.0, 0

    def _thin(self) -> None:
        pairs = zip(self.points[::2], self.points[1::2], strict=False)
        self.points = [(later, (a + b) / 2) for (_, a), (later, b) in pairs]
        self._stride *= 2


@dataclass
class TrainingState:
    """What the records of a training say. An attempt that goes on from a checkpoint repeats the
    steps behind it: these are counted once."""

    started: LearningStarted
    loss: Curve = field(default_factory=Curve)
    learning_rate: Curve = field(default_factory=Curve)
    epochs: list[EpochEnded] = field(default_factory=list)
    last: TrainStep | None = None
    ended: LearningEnded | None = None
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _elapsed_s: float = 0.0  # of the attempts before this one
    _examples: int = 0

    def resume(self, started: LearningStarted) -> None:
        """Another attempt goes on where a checkpoint lies."""
        self._elapsed_s = self.elapsed_s
        self.started, self.last, self.ended = started, None, None
        at = started.resumed_at
        for curve in (self.loss, self.learning_rate):
            curve.cut(at)
        done = at // started.steps_per_epoch if started.steps_per_epoch else 0
        self.epochs = [epoch for epoch in self.epochs if epoch.epoch <= done]
        self._recent.clear()

    def add_step(self, step: TrainStep) -> None:
        """One more step of the optimiser."""
        self.last = step
        self.loss.add(step.step, step.loss)
        self.learning_rate.add(step.step, step.learning_rate)
        self._recent.append((step.t, step.examples))
        self._examples += step.examples

    def add_epoch(self, epoch: EpochEnded) -> None:
        """One more epoch is over."""
        self.epochs.append(epoch)
        self._recent.clear()  # measuring on held-out data lies in between

    @property
    def steps(self) -> int:
        """Steps done, those of earlier attempts included."""
        return self.last.step if self.last else self.started.resumed_at

    @property
    def planned(self) -> int:
        """Steps there will be at most."""
        return self.started.epochs * self.started.steps_per_epoch

    @property
    def epoch(self) -> int:
        """The epoch that is on, from 1; the last one when all are over."""
        per_epoch = max(1, self.started.steps_per_epoch)
        return min(self.started.epochs, self.steps // per_epoch + 1)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training in all attempts, up to the newest step."""
        newest = [self.started.t]
        newest += [self.last.t] if self.last else []
        newest += [self.epochs[-1].t] if self.epochs else []
        return self._elapsed_s + max(newest) - self.started.t

    @property
    def examples_per_s(self) -> float | None:
        """The rate of the newest steps, held-out data left out."""
        if len(self._recent) < 2:
            return self._mean_rate()
        seconds = self._recent[-1][0] - self._recent[0][0]
        examples = sum(count for _, count in list(self._recent)[1:])
        return examples / seconds if seconds > 0 else None

    @property
    def time_left_s(self) -> float | None:
        """Seconds for the steps that are left, at the mean rate of this attempt; None at first."""
        done = self.steps - self.started.resumed_at
        if self.last is None or done < 1:
            return None
        if self.ended is not None:
            return 0.0
        each = (self.last.t - self.started.t) / done
        return max(0, self.planned - self.steps) * each

    @property
    def best(self) -> EpochEnded | None:
        """The best epoch so far."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)

    def summary(self) -> TrainingSummary:
        """As it is kept."""
        return TrainingSummary(
            started=self.started,
            epochs=tuple(self.epochs),
            steps=self.steps,
            examples_per_s=self._mean_rate(),
            elapsed_s=self.elapsed_s,
            why_ended=self.ended.why if self.ended else "",
            peak_memory_bytes=self.ended.peak_memory_bytes if self.ended else None,
        )

    def _mean_rate(self) -> float | None:
        """Examples a second over all attempts, held-out data included."""
        elapsed = self.elapsed_s
        return self._examples / elapsed if elapsed > 0 and self._examples else None
