"""One precision of a run so far: its turns, its tally, its figures."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgelab.energy.figures import EnergyFigures
from edgelab.record import PassSummary
from edgelab.records import (
    Forecasted,
    Item,
    ModelFacts,
    Outcome,
    PassEnded,
    PassScores,
    PassStarted,
)
from edgelab.settings.common import Precision
from edgelab.tally import PassTally
from edgelab.verdict import Conditions, Window


@dataclass
class Turn:
    """One measuring process: from its first image to its last so far."""

    started: PassStarted
    ended: PassEnded | None = None
    last_t: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds of the measured window so far."""
        if self.ended is not None:
            return self.ended.elapsed_s
        return 0.0 if self.last_t is None else self.last_t - self.started.t

    @property
    def window(self) -> Window:
        """The measured stretch so far."""
        return Window(self.started.t, self.last_t or self.started.t)


@dataclass
class PassState:
    """All turns of one precision. `items_per_image`: how many items it makes of each image."""

    precision: Precision
    tally: PassTally
    items_per_image: int = 1
    outcome: Outcome = Outcome.QUEUED
    reason: str = ""
    facts: ModelFacts | None = None
    forecast: Forecasted | None = None
    turns: list[Turn] = field(default_factory=list)
    scores: PassScores | None = None

    @property
    def started(self) -> PassStarted | None:
        """The beginning of the newest turn."""
        return self.turns[-1].started if self.turns else None

    @property
    def expected(self) -> int | None:
        """Items of all turns, None before the first began."""
        started = self.started
        return None if started is None else started.images * self.items_per_image

    @property
    def elapsed_s(self) -> float | None:
        """Seconds of measuring so far."""
        return sum(turn.elapsed_s for turn in self.turns) if self.turns else None

    @property
    def images_per_s(self) -> float | None:
        """Throughput over the measured windows: decoding and journal included."""
        elapsed = self.elapsed_s
        return self.tally.seen / elapsed if elapsed and self.tally.seen else None

    @property
    def items_per_s(self) -> float | None:
        """The same in items: questions, where such are asked."""
        elapsed = self.elapsed_s
        return self.tally.done / elapsed if elapsed and self.tally.done else None

    @property
    def windows(self) -> list[Window]:
        """The measured stretches so far."""
        return [turn.window for turn in self.turns if turn.last_t is not None]

    def add(self, item: Item) -> None:
        """Take one more item of the newest turn."""
        self.tally.add(item)
        if self.turns:
            self.turns[-1].last_t = item.t

    def end_turn(self, record: PassEnded) -> None:
        """The newest turn is complete."""
        if self.turns:
            self.turns[-1].ended = record

    def open(self) -> None:
        """A turn's process was started."""
        self._turn_to(Outcome.RUNNING, "")

    def close(self, outcome: Outcome, reason: str) -> None:
        """A turn's process is gone."""
        self._turn_to(outcome, reason)

    def reopen(self) -> None:
        """The run goes on: what is not finished will have another turn."""
        if self.outcome is not Outcome.FINISHED:
            self.outcome, self.reason = Outcome.QUEUED, ""

    def _turn_to(self, outcome: Outcome, reason: str) -> None:
        # A bad end of one turn is not undone by a good one of the next.
        if not self.outcome.over or self.outcome is Outcome.FINISHED:
            self.outcome, self.reason = outcome, reason

    def summary(self, conditions: Conditions, energy: tuple[EnergyFigures, ...]) -> PassSummary:
        """The precision as it is kept, with the conditions it was measured under."""
        facts = self.facts
        ended = [turn.ended for turn in self.turns if turn.ended is not None]
        overheads = [end.overhead_share for end in ended if end.overhead_share is not None]
        return PassSummary(
            precision=self.precision,
            outcome=self.outcome,
            reason=self.reason,
            images=self.tally.images,
            errors=self.tally.errors,
            unanswered=self.tally.unanswered,
            rows=self.tally.rows() if self.tally.images else (),
            asked=self.tally.asked.figures() if self.tally.asked else None,
            latency=self.tally.latency_figures() if len(self.tally.latency) else None,
            stages=self.tally.stage_means(),
            infer_p50_ms=self.tally.infer.at(0.50),
            images_per_s=self.images_per_s,
            elapsed_s=self.elapsed_s,
            load_s=self.turns[0].started.load_s if self.turns else None,
            peak_memory_bytes=max((end.peak_memory_bytes for end in ended), default=None),
            overhead_share=max(overheads, default=None),
            model_name=facts.name if facts else None,
            model_sha256=facts.sha256 if facts else None,
            model_bytes=facts.size_bytes if facts else None,
            executed=facts.executed if facts else None,
            cost=facts.cost if facts else None,
            runtime=facts.runtime if facts else None,
            iou=facts.iou if facts else None,
            input_size=facts.input_size if facts else None,
            conditions=conditions,
            energy=energy,
            scores=self.scores,
            forecast_bytes=self.forecast.peak_bytes if self.forecast else None,
            libraries_bytes=self.forecast.libraries_bytes if self.forecast else None,
        )
