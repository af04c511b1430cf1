"""The report of the quantisation doctor: what a conversion did to a model, kept beside the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from edgelab import words
from edgelab.executed import ExecutedPrecision
from edgelab.settings.common import NotNegative, Positive, Precision, Text
from edgelab.settings.convert import Activations, Calibration

REPORT_VERSION = 1

_LEAST_SHOWN = 1e-4

Milliseconds = Annotated[float, Meta(gt=0)]
Error = Annotated[float, Meta(ge=0)]


class CountCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects found above `threshold` on all checked images, by the source and by the outcome.

    `changed`: the sum over images and classes of the differences, each without its sign.
    """

    threshold: float
    source: NotNegative
    outcome: NotNegative
    changed: NotNegative


class AnswerCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A classifier's answers on the checked images beside the source's.

    `changed`: images that get another class. Errors: the largest change among an image's class
    probabilities, its mean over the images and its largest.
    """

    changed: NotNegative
    mean_error: Error
    largest_error: Error


class TokenCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A language model's next tokens beside the source's, each after the source's own words.

    Of `tokens`, `same` have the same likeliest one. Errors of the logits: the norm of the
    difference over the norm, its mean over the tokens and its largest.
    """

    tokens: Positive
    same: NotNegative
    mean_error: Error
    largest_error: Error


class LatencyCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Median ms of one inference, both measured in turns on this machine, warm-up apart."""

    source_ms: Milliseconds
    outcome_ms: Milliseconds
    rounds: Positive

    @property
    def ratio(self) -> float:
        """How many times as fast as the source."""
        return self.source_ms / self.outcome_ms


class NodeError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a node's output is off the source's: the norm of the difference over the norm.

    `added`: what its worst input did not have already.
    """

    name: str
    kind: str
    error: Error
    added: float


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Activations that were timed before one was chosen."""

    activations: Activations
    outcome_ms: Milliseconds


class ConversionReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A conversion and what the doctor found; `refusal` says why the outcome is not to be used.

    `calibrated`, `checked`: how many images (of a model that is asked: answers); none is in both.
    `nodes`: those that hurt most first.
    `kept_float`: nodes that quantisation left alone.
    """

    version: Annotated[int, Meta(ge=REPORT_VERSION, le=REPORT_VERSION)]
    model: Text
    precision: Precision
    source_sha256: Text
    source_bytes: Positive
    sha256: Text
    size_bytes: Positive
    input_size: tuple[Positive, Positive]
    runtime: Text
    cpu: str
    threads: Positive
    executed: ExecutedPrecision
    refusal: str | None = None
    counts: tuple[CountCheck, ...] = ()
    answers: AnswerCheck | None = None
    tokens: TokenCheck | None = None
    source_score: float | None = None
    outcome_score: float | None = None
    latency: LatencyCheck | None = None
    nodes: tuple[NodeError, ...] = ()
    checked: NotNegative = 0
    calibrated: NotNegative = 0
    method: Calibration | None = None
    activations: Activations | None = None
    kept_float: NotNegative = 0
    trials: tuple[Trial, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One line: accepted or refused, and why."""
        return "accepted" if self.refusal is None else f"refused: {self.refusal}"

    def facts(self) -> Iterator[tuple[str, str]]:
        """What a person reads: labels and values, the verdict first."""
        yield "verdict", self.verdict
        yield "executed", self.executed.words
        yield "size", self._size()
        if self.latency is not None:
            yield "one inference", self._latency()
        yield from self._found()
        if self.method is not None and self.activations is not None:
            yield "calibration", f"{self.method} on {self.calibrated} images"
            yield "activations", self._activations()
            yield "kept in float", f"{self.kept_float} nodes"
        for node in self.nodes:
            yield "off", f"{node.error:.1%}, {node.added:+.1%} here: {node.kind} {node.name}"
        for remark in self.remarks:
            yield "note", remark

    def text(self) -> str:
        """The report as it lies beside the model."""
        rows = [
            ("model", f"{self.model} in {self.precision}"),
            *self.facts(),
            ("input", f"{self.input_size[0]}x{self.input_size[1]} px"),
            ("machine", f"{self.cpu}, {self.threads} threads, {self.runtime}"),
            ("made from", self.source_sha256),
            ("sha256", self.sha256),
        ]
        width = max(len(label) for label, _ in rows)
        return "".join(f"{label.ljust(width)}  {value}\n" for label, value in rows)

    def _size(self) -> str:
        share = self.size_bytes / self.source_bytes
        return f"{words.megabytes(self.size_bytes)} MB, {share:.2f} of the source's"

    def _latency(self) -> str:
        assert self.latency is not None
        source, outcome = self.latency.source_ms, self.latency.outcome_ms
        return (
            f"{words.milliseconds(outcome)} ms against {words.milliseconds(source)} ms: "
            f"{self.latency.ratio:.2f} times as fast"
        )

    def _found(self) -> Iterator[tuple[str, str]]:
        if (answers := self.answers) is not None:
            same = self.checked - answers.changed
            yield "same answer", f"on {same} of {self.checked} images ({same / self.checked:.1%})"
            yield (
                "probabilities",
                f"off by {answers.mean_error:.4f} in the mean, {answers.largest_error:.3f} at most",
            )
        if (tokens := self.tokens) is not None:
            yield "same token", f"{tokens.same} of {tokens.tokens} in {self.checked} answers"
            yield (
                "logits",
                f"off by {_percent(tokens.mean_error)} in the mean, "
                f"{_percent(tokens.largest_error)} at most",
            )
        if self.source_score is not None and self.outcome_score is not None:
            yield "highest score", f"{self.outcome_score:.3f}, the source's {self.source_score:.3f}"
        for check in self.counts:
            yield (
                f"found at {check.threshold:g}",
                f"{check.outcome}, the source {check.source}; "
                f"{check.changed} changed on {self.checked} images",
            )

    def _activations(self) -> str:
        tried = ", ".join(
            f"{trial.activations} {words.milliseconds(trial.outcome_ms)} ms"
            for trial in self.trials
        )
        return f"{self.activations}" + (f" (tried: {tried})" if tried else "")


def _percent(share: float) -> str:
    return f"{share:.2%}" if share >= _LEAST_SHOWN or not share else f"under {_LEAST_SHOWN:.2%}"
