"""The state of a run as its records tell it: one reducer for live view, replay and record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any

from edgelab.asked import tokens_per_s
from edgelab.conversion import ConversionReport
from edgelab.energy.figures import EnergyFigures
from edgelab.energy.ledger import EnergyLedger
from edgelab.pass_state import PassState, Turn
from edgelab.record import RECORD_VERSION, RunRecord
from edgelab.records import (
    Answering,
    AnswerScores,
    AskedItem,
    Asking,
    BaselineEnded,
    BoardFacts,
    ClassificationScores,
    Converted,
    DatasetFacts,
    Ended,
    EpochEnded,
    Failure,
    Forecasted,
    Item,
    LearningEnded,
    LearningStarted,
    ModelFacts,
    Outcome,
    PassEnded,
    PassScores,
    PassStarted,
    Phase,
    PowerReading,
    PowerSource,
    Progress,
    Record,
    Resumed,
    Sample,
    SplitFacts,
    Started,
    StepEnded,
    StepStarted,
    TrainStep,
    Waiting,
    Warning,  # noqa: A004
)
from edgelab.settings.common import Precision
from edgelab.spec import RunSpec
from edgelab.steps import precision_of
from edgelab.tally import PassTally
from edgelab.training_state import TrainingState
from edgelab.verdict import Conditions, conditions

STARTING = "starting"
"""What a step does until its runner tells of a phase: it loads its libraries."""

RECENT = 240
"""How many latencies and samples the live panels can show."""


@dataclass
class RunProjection:
    """Everything the panels show of one run. `now` is the time of the newest record."""

    spec: RunSpec
    outcome: Outcome = Outcome.QUEUED
    reason: str = ""
    now: float | None = None
    started: Started | None = None  # of the newest attempt
    earlier_s: float = 0.0  # what the attempts before it took
    first_wall: float | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ended: Ended | None = None
    step: str | None = None
    runner_pid: int | None = None
    finished_steps: set[str] = field(default_factory=set)
    phase: Phase | None = None
    phase_done: int = 0
    dataset: DatasetFacts | None = None
    passes: dict[Precision, PassState] = field(default_factory=dict)
    current: PassState | None = None
    conversions: dict[Precision, ConversionReport] = field(default_factory=dict)
    last_item: Item | None = None
    asking: Asking | None = None
    answer: str = ""  # to what is being asked, as far as it has come
    answer_speeds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))  # tokens/s
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    samples: list[Sample] = field(default_factory=list)
    board: BoardFacts | None = None
    energy: EnergyLedger = field(default_factory=EnergyLedger)
    waiting: Waiting | None = None
    splits: dict[str, SplitFacts] = field(default_factory=dict)
    training: TrainingState | None = None
    scores: dict[str, ClassificationScores] = field(default_factory=dict)
    answer_scores: dict[str, AnswerScores] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None
    damaged_lines: int = 0

    def __post_init__(self) -> None:
        settings = self.spec.settings
        for precision in settings.passes:
            tally = PassTally(settings.cuts, ())
            self.passes[precision] = PassState(precision, tally, settings.items_per_image)

    def apply(self, record: Record) -> None:
        """Take the next record, in the order of time."""
        t = getattr(record, "t", None)
        if t is not None:
            self.now = t if self.now is None else max(self.now, t)
        self._apply(record)

    @property
    def sample(self) -> Sample | None:
        """The newest reading of the board."""
        return self.samples[-1] if self.samples else None

    @property
    def elapsed_s(self) -> float | None:
        """Seconds since the run started."""
        if self.ended is not None and self.ended.duration_s is not None:
            return self.ended.duration_s
        if self.started is None or self.now is None:
            return self.earlier_s or None
        return self.earlier_s + self.now - self.started.t

    @property
    def done(self) -> int:
        """Items measured in all passes."""
        return sum(state.tally.done for state in self.passes.values())

    @property
    def expected(self) -> int | None:
        """Items of all passes; None until the size of the data is known."""
        if self.dataset is None:
            return None
        return self.dataset.items * self.spec.settings.items_per_image * len(self.passes)

    @property
    def time_left_s(self) -> float | None:
        """Seconds of measuring left at the rate of the current pass; None while not known."""
        if self.training is not None and not self.outcome.over:
            return self.training.time_left_s
        rate = self.current.items_per_s if self.current else None
        if self.outcome.over or self.expected is None or not rate:
            return None
        return max(0, self.expected - self.done) / rate

    @property
    def phase_left_s(self) -> float | None:
        """Seconds left of what counts its units now, at its own pace; None while not known."""
        phase, now = self.phase, self.now
        if self.outcome.over or phase is None or not phase.total or not self.phase_done:
            return None
        assert now is not None  # the phase's own record had a time
        return (now - phase.t) * max(0, phase.total - self.phase_done) / self.phase_done

    @property
    def errors(self) -> int:
        """Images that gave no result."""
        return sum(state.tally.errors for state in self.passes.values())

    def record(self) -> RunRecord:
        """The run as it is kept."""
        return RunRecord(
            version=RECORD_VERSION,
            spec=self.spec,
            outcome=self.outcome,
            reason=self.reason,
            started=self.first_wall,
            ended=self.ended.wall if self.ended else None,
            duration_s=self.elapsed_s,
            environment=self.environment,
            dataset=self.dataset,
            passes=tuple(
                state.summary(self.conditions(state), self.energy_of(state))
                for state in self.passes.values()
            ),
            conditions=self.conditions(*self.passes.values()),
            splits=tuple(self.splits.values()),
            training=self.training.summary() if self.training else None,
            scores=(*self.scores.values(), *self.measured_scores()),
            conversions=tuple(self.conversions.values()),
            answer_scores=(*self.answer_scores.values(), *self.measured_answers()),
            warnings=tuple(self.warnings),
            damaged_lines=self.damaged_lines,
        )

    def measured_scores(self) -> Iterator[ClassificationScores]:
        """How well each pass of a classifier answered so far, under its precision's name."""
        if self.dataset is None or self.now is None:
            return
        for precision, state in self.passes.items():
            if (answers := state.tally.classified) is not None:
                facts = self.dataset
                yield answers.scores(self.now, precision.value, facts.split, facts.classes)

    def measured_answers(self) -> Iterator[AnswerScores]:
        """How well free questions were answered in each pass so far, under its precision's name."""
        for precision, state in self.passes.items():
            if state.tally.asked is None or self.dataset is None or self.now is None:
                continue
            scores = state.tally.asked.scores(self.now, precision.value, self.dataset.split)
            if scores is not None:
                yield scores

    def energy_of(self, state: PassState) -> tuple[EnergyFigures, ...]:
        """What each power source says of a pass so far, the one that counts first."""
        return self.energy.figures_over(state.windows, state.tally.seen)

    def conditions(self, *states: PassState) -> Conditions:
        """The board while these passes measured, as far as they have come."""
        windows = [window for state in states for window in state.windows]
        return conditions(self.samples, self.board, windows)

    @singledispatchmethod
    def _apply(self, record: Any) -> None:
        """Records that say nothing to the panels."""

    @_apply.register
    def _(self, record: Started) -> None:
        self.started = record
        self.environment = record.environment
        self.first_wall = record.wall if self.first_wall is None else self.first_wall
        self.outcome = Outcome.RUNNING

    @_apply.register
    def _(self, _: Resumed) -> None:
        self.warnings.append(f"resumed: the attempt before was {self.outcome}")
        self.earlier_s = self.elapsed_s or 0.0
        self.started = self.ended = self.step = self.phase = self.waiting = self.failure = None
        self.outcome, self.reason = Outcome.QUEUED, ""
        for state in self.passes.values():
            state.reopen()

    @_apply.register
    def _(self, record: StepStarted) -> None:
        self.step, self.runner_pid = record.step, record.pid
        self.phase, self.phase_done, self.waiting, self.asking = None, 0, None, None
        state = self._pass_of(record.step)
        if state is not None:
            state.open()
            self.current = state
            self.recent.clear()
            self.answer_speeds.clear()

    @_apply.register
    def _(self, record: StepEnded) -> None:
        self.runner_pid = self.asking = None
        if record.outcome is Outcome.FINISHED:
            self.finished_steps.add(record.step)
        state = self._pass_of(record.step)
        if state is not None:
            state.close(record.outcome, record.reason)

    @_apply.register
    def _(self, record: Ended) -> None:
        self.ended = record
        self.outcome, self.reason = record.outcome, record.reason
        self.runner_pid = None
        for state in self.passes.values():
            if state.outcome is Outcome.RUNNING:
                state.close(record.outcome, record.reason)
            elif state.outcome is Outcome.QUEUED:
                state.close(Outcome.NOT_RUN, "")

    @_apply.register
    def _(self, record: Phase) -> None:
        self.phase, self.phase_done = record, 0

    @_apply.register
    def _(self, record: Progress) -> None:
        self.phase_done = record.done

    @_apply.register
    def _(self, record: DatasetFacts) -> None:
        self.dataset = record
        for state in self.passes.values():
            state.tally.classes = record.classes

    @_apply.register
    def _(self, record: ModelFacts) -> None:
        self.passes[record.precision].facts = record

    @_apply.register
    def _(self, record: Forecasted) -> None:
        self.passes[record.precision].forecast = record

    @_apply.register
    def _(self, record: Converted) -> None:
        self.conversions[record.report.precision] = record.report

    @_apply.register
    def _(self, record: PassStarted) -> None:
        self.passes[record.precision].turns.append(Turn(record))

    @_apply.register
    def _(self, record: PassEnded) -> None:
        self.passes[record.precision].end_turn(record)

    @_apply.register
    def _(self, record: SplitFacts) -> None:
        self.splits[record.split] = record

    @_apply.register
    def _(self, record: LearningStarted) -> None:
        if self.training is None:
            self.training = TrainingState(record)
        else:
            self.training.resume(record)

    @_apply.register
    def _(self, record: TrainStep) -> None:
        if self.training is not None:
            self.training.add_step(record)

    @_apply.register
    def _(self, record: EpochEnded) -> None:
        if self.training is not None:
            self.training.add_epoch(record)

    @_apply.register
    def _(self, record: LearningEnded) -> None:
        if self.training is not None:
            self.training.ended = record

    @_apply.register
    def _(self, record: ClassificationScores) -> None:
        self.scores[record.subject] = record

    @_apply.register
    def _(self, record: AnswerScores) -> None:
        self.answer_scores[record.subject] = record

    @_apply.register
    def _(self, record: PassScores) -> None:
        self.passes[record.precision].scores = record

    @_apply.register
    def _(self, record: Warning) -> None:
        if record.text not in self.warnings:
            self.warnings.append(record.text)

    @_apply.register
    def _(self, record: Failure) -> None:
        self.failure = record.text

    @_apply.register
    def _(self, record: Item) -> None:
        state = self.passes[record.precision]
        state.add(record)
        self.last_item = record
        if record.times is not None:
            self.recent.append(record.times.latency)

        if isinstance(record, AskedItem):
            self.asking = None
            speed = tokens_per_s(record)
            if speed is not None:
                self.answer_speeds.append(speed)

    @_apply.register
    def _(self, record: Asking) -> None:
        self.asking, self.answer = record, ""

    @_apply.register
    def _(self, record: Answering) -> None:
        self.answer += record.text

    @_apply.register
    def _(self, record: Sample) -> None:
        self.samples.append(record)

    @_apply.register
    def _(self, record: Waiting) -> None:
        self.waiting = record

    @_apply.register
    def _(self, record: PowerSource) -> None:
        self.energy.add_source(record)

    @_apply.register
    def _(self, record: PowerReading) -> None:
        self.energy.add_reading(record)

    @_apply.register
    def _(self, record: BaselineEnded) -> None:
        self.energy.add_baseline(record)

    @_apply.register
    def _(self, record: BoardFacts) -> None:
        self.board = record

    def _pass_of(self, step: str) -> PassState | None:
        name = precision_of(step)
        return next((s for p, s in self.passes.items() if p.value == name), None)
