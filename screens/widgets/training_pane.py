"""A training as it goes: loss, metric, rate, and its curves."""

from __future__ import annotations

from edgelab import words
from edgelab.projection import RunProjection
from edgelab.training_state import TrainingState
from screens.face import Face
from screens.ink import BLANK, Ink, Line, flow, label, line, sparkline, strong, wrap
from screens.plot import Point, scatter
from screens.widgets.projection_pane import ProjectionPane

NO_STEP = "no step was made yet"
_AXIS = 9
_ALL = 1.0
"""The top of a metric's scale: metrics are shares."""


class TrainingPane(ProjectionPane):
    """The meter of a training: it stands where a measured run has its latency."""

    def lines(self, run: RunProjection) -> list[Line]:
        """Loss, held-out loss and metric, best, rates, and the loss as a sparkline."""
        training = run.training
        width, height = self.content_size
        if training is None:
            return wrap(NO_STEP, width, "label")
        lines = [*flow(_figures(training), width), *_epoch(training, width)]
        recent = [value for _, value in training.loss.points][-width:]
        room = height - len(lines) - 1
        if self.face.sparkline and recent and room > 1:
            rows = sparkline(recent, min(3, room), self.face.glyphs)
            lines += [(Ink(row, "accent"),) for row in rows]
            lines.append((label(f"loss, from 0 to {words.number(max(recent))}"),))
        return lines


class CurvesPane(ProjectionPane):
    """Loss over the steps, and the metric over the epochs, each on a scale of its own."""

    def __init__(self, face: Face, id: str) -> None:  # noqa: A002
        super().__init__(face, "Curves", id)

    def lines(self, run: RunProjection) -> list[Line]:
        """Two plots, one above the other."""
        training = run.training
        if training is None or not training.loss.points:
            return [BLANK, *wrap(NO_STEP, self.content_size.width, "label")]
        height = self.content_size.height
        metric = training.started.metric
        losses = [(float(step), value) for step, value in training.loss.points]
        rows = max(2, (height - 2) // 2)
        plots = self._plot("loss", losses, training, max(y for _, y in losses), rows)
        scored = [
            (float(epoch.epoch * training.started.steps_per_epoch), epoch.metrics[metric])
            for epoch in training.epochs
            if metric in epoch.metrics
        ]
        return [*plots, *self._plot(f"held-out {metric}", scored, training, _ALL, rows)]

    def _plot(
        self, title: str, points: list[Point], training: TrainingState, top: float, rows: int
    ) -> list[Line]:
        size = (max(1, self.content_size.width - _AXIS), rows)
        dots = scatter(points, size, float(max(1, training.steps)), top, self.face.glyphs.dots)
        scale = {0: words.number(top), rows - 1: "0"}
        span = f"{title}, {len(points)} points, to step {training.steps}"
        return [
            *(line(label(scale.get(y, "").rjust(_AXIS - 1) + " "), Ink(row, "accent"))
              for y, row in enumerate(dots)),
            (label(" " * _AXIS + span),),
        ]  # fmt: skip


def _figures(training: TrainingState) -> list[Line]:
    """Name and figure, in the order of what is asked first."""
    last, epochs = training.last, training.epochs
    metric = training.started.metric
    newest = epochs[-1] if epochs else None
    rate = training.examples_per_s
    cells = (
        ("loss", words.number(last.loss if last else None)),
        ("held-out", words.number(newest.val_loss if newest else None)),
        (metric, words.number(newest.metrics.get(metric) if newest else None)),
        ("rate", f"{last.learning_rate:.2g}" if last else words.UNKNOWN),
        ("img/s", words.number(rate, 1)),
    )
    return [(label(f"{name} "), strong(f"{value}  ")) for name, value in cells]


def _epoch(training: TrainingState, width: int) -> list[Line]:
    started = training.started
    cells: list[Line] = [
        (label("epoch "), Ink(f"{training.epoch} of {started.epochs}  ")),
        (label("on "), Ink(f"{words.plain(started.device, 20)}, {started.number_format}  ")),
    ]
    best = training.best
    if best is not None and started.metric in best.metrics:
        value = words.number(best.metrics[started.metric])
        cells.append((label("best "), Ink(f"{value} after epoch {best.epoch}  ", "good")))
    if training.ended is not None:
        cells.append((label("ended: "), Ink(words.plain(training.ended.why, width))))
    return flow(cells, width)
