"""The RunRecord: what is kept of a run when it is over."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab import words
from edgelab.asked import AskFigures
from edgelab.conversion import ConversionReport
from edgelab.energy.figures import EnergyFigures
from edgelab.executed import ExecutedPrecision
from edgelab.graph_cost import GraphCost
from edgelab.records import (
    AnswerScores,
    ClassificationScores,
    DatasetFacts,
    EpochEnded,
    LearningStarted,
    Outcome,
    PassScores,
    SplitFacts,
    StageTimes,
)
from edgelab.settings.common import Precision
from edgelab.spec import RunSpec
from edgelab.tally import LatencyFigures, ThresholdRow
from edgelab.verdict import Conditions

RECORD_VERSION = 1


class PassSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """One precision of a run. Empty figures: the pass did not come that far."""

    precision: Precision
    outcome: Outcome
    reason: str = ""
    images: int = 0
    errors: int = 0
    unanswered: int = 0
    rows: tuple[ThresholdRow, ...] = ()
    asked: AskFigures | None = None
    latency: LatencyFigures | None = None
    stages: StageTimes | None = None
    infer_p50_ms: float | None = None
    images_per_s: float | None = None
    elapsed_s: float | None = None
    load_s: float | None = None
    peak_memory_bytes: int | None = None
    overhead_share: float | None = None
    model_name: str | None = None
    model_sha256: str | None = None
    model_bytes: int | None = None
    executed: ExecutedPrecision | None = None
    cost: GraphCost | None = None
    runtime: str | None = None
    iou: float | None = None
    input_size: tuple[int, int] | None = None
    conditions: Conditions = Conditions()
    energy: tuple[EnergyFigures, ...] = ()
    scores: PassScores | None = None
    floor_ms: float | None = None
    """The least time of one inference on this board, as it was calibrated when the run ended."""
    floor_share: float | None = None
    """Which part of that was reached by the median inference."""
    forecast_bytes: int | None = None
    """The peak that was expected by arithmetic, beside `peak_memory_bytes`."""
    libraries_bytes: int | None = None
    """What the process took before its model was loaded."""

    @property
    def memory_words(self) -> str:
        """The measured peak, beside its forecast where there was one; empty: not measured."""
        measured, expected = self.peak_memory_bytes, self.forecast_bytes
        if measured is None:
            return "" if expected is None else f"forecast {words.megabytes(expected)} MB"
        if not expected:
            return f"{words.megabytes(measured)} MB"
        return (
            f"forecast {words.megabytes(expected)} MB, measured {words.megabytes(measured)} MB, "
            f"{100 * (measured / expected - 1):+.0f} %"
        )


class TrainingSummary(msgspec.Struct, frozen=True):
    """A training, as far as it came. `best`: the epoch whose weights were kept as the best."""

    started: LearningStarted
    epochs: tuple[EpochEnded, ...]
    steps: int
    examples_per_s: float | None = None
    elapsed_s: float | None = None
    why_ended: str = ""
    peak_memory_bytes: int | None = None

    @property
    def best(self) -> EpochEnded | None:
        """The newest of the epochs that were the best when they ended."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run in one small document: everything but its items, events and samples.

    `started`, `ended`: Unix time, s. `duration_s`: by the monotonic clock.
    """

    version: Annotated[int, Meta(ge=1, le=RECORD_VERSION)]
    spec: RunSpec
    outcome: Outcome
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    duration_s: float | None = None
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    dataset: DatasetFacts | None = None
    passes: tuple[PassSummary, ...] = ()
    conditions: Conditions = Conditions()
    splits: tuple[SplitFacts, ...] = ()
    training: TrainingSummary | None = None
    scores: tuple[ClassificationScores, ...] = ()
    conversions: tuple[ConversionReport, ...] = ()
    answer_scores: tuple[AnswerScores, ...] = ()
    warnings: tuple[str, ...] = ()
    damaged_lines: int = 0

    def without_classes(self) -> RunRecord:
        """The same with rows a class and errors a node left out: what the index keeps."""
        passes = tuple(
            msgspec.structs.replace(
                summary,
                rows=tuple(
                    msgspec.structs.replace(row, classes=(), by_true_count=())
                    for row in summary.rows
                ),
                scores=summary.scores and summary.scores.without_classes(),
            )
            for summary in self.passes
        )
        scores = tuple(
            msgspec.structs.replace(each, classes=(), confusion=()) for each in self.scores
        )
        conversions = tuple(msgspec.structs.replace(each, nodes=()) for each in self.conversions)
        return msgspec.structs.replace(self, passes=passes, scores=scores, conversions=conversions)
