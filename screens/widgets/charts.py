"""Latency over time, its histogram, and the bar that shows where a replay stands."""

from __future__ import annotations

from edgelab import words
from edgelab.projection import RunProjection
from edgelab.reader import Replay
from edgelab.records import BoardFacts, Item, Sample, StepStarted
from edgelab.steps import PREPARE
from edgelab.verdict import slowed_times
from screens.face import Face
from screens.ink import BLANK, Ink, Line, bar, fit, label, line, strong, wrap
from screens.plot import Point, highest, scatter
from screens.widgets.pane import Pane
from screens.widgets.projection_pane import ProjectionPane

_AXIS = 8
_LIVE = "Drawn when the run is over. Until then the sparkline shows the newest images."


class TimelinePane(Pane):
    """Each image as a dot, when and how long; below it heat, and where the board was slowed."""

    def __init__(self, face: Face, id: str) -> None:  # noqa: A002
        super().__init__(face, "Latency over time", id)
        self._replay: Replay | None = None
        self._latencies: list[Point] = []
        self._heat: list[Point] = []
        self._slowed: list[Point] = []
        self._steps: list[tuple[float, str]] = []
        self._drawn: tuple[tuple[int, int], list[Line]] | None = None

    def show(self, replay: Replay) -> None:
        """Draw this run."""
        self._replay, self._drawn = replay, None
        start = getattr(replay.records[0], "t", 0.0) if replay.records else 0.0
        self._latencies, self._heat, self._steps = [], [], []
        samples = [record for record in replay.records if isinstance(record, Sample)]
        facts = next((each for each in replay.records if isinstance(each, BoardFacts)), None)
        self._slowed = [(t - start, 1.0) for t in slowed_times(samples, facts)]
        for record in replay.records:
            if isinstance(record, Item) and record.times is not None:
                self._latencies.append((record.t - start, record.times.latency))
            elif isinstance(record, Sample) and record.temperatures:
                self._heat.append((record.t - start, max(record.temperatures.values())))
            elif isinstance(record, StepStarted) and record.step != PREPARE:
                self._steps.append((record.t - start, record.step))
        self.update()

    def draw(self) -> list[Line]:
        """The dots, an axis with the position, the steps, the temperature."""
        width, height = self.content_size
        if self._replay is None:
            return [BLANK, *wrap(_LIVE, width, "label")]
        if self._replay.spec.settings.overlaps:
            return [BLANK, *wrap("offline: an image has no latency of its own", width, "label")]
        if not self._latencies:
            return [BLANK, *wrap("no image was measured", width, "label")]
        columns = width - _AXIS
        if self._drawn is None or self._drawn[0] != (width, height):
            below = 2 + bool(self._heat) + bool(self._slowed)
            self._drawn = ((width, height), self._dots(columns, height - below))
        lines = [*self._drawn[1], self._axis(columns), self._names(columns)]
        if self._heat:
            lines.append(self._temperature(columns))
        if self._slowed:
            lines.append(self._throttled(columns))
        return lines

    def _dots(self, columns: int, rows: int) -> list[Line]:
        assert self._replay is not None
        top = max(y for _, y in self._latencies)
        size = (columns, max(1, rows))
        dots = scatter(self._latencies, size, self._replay.length, top, self.face.glyphs.dots)
        scale = {0: words.milliseconds(top), len(dots) // 2: words.milliseconds(top / 2)}
        return [
            line(label(scale.get(y, "").rjust(_AXIS - 4) + (" ms " if y in scale else "    ")),
                 Ink(row, "accent"))
            for y, row in enumerate(dots)
        ]  # fmt: skip

    def _axis(self, columns: int) -> Line:
        assert self._replay is not None
        track, knob = self.face.glyphs.track, self.face.glyphs.knob
        at = _column(self._replay.position, self._replay.length, columns)
        return line(
            label("   0    "),
            label(track * at),
            strong(knob),
            label(track * (columns - at - 1)),
        )

    def _names(self, columns: int) -> Line:
        assert self._replay is not None
        text = ""
        for t, name in self._steps:
            at = _column(t, self._replay.length, columns)
            if at >= len(text):
                text = text.ljust(at) + f"{name} "
        return (Ink(" " * _AXIS), label(fit(text, columns, self.face.glyphs)))

    def _temperature(self, columns: int) -> Line:
        assert self._replay is not None
        found = highest(self._heat, columns, self._replay.length)
        known = [value for value in found if value is not None]
        low, high = min(known), max(known)
        levels = self.face.glyphs.levels
        steps = len(levels) - 1
        cells, level = "", levels[0]
        for value in found:
            if value is not None:
                level = levels[round(steps * (value - low) / (high - low))] if high > low else level
            cells += level
        span = f"{low:.0f}-{high:.0f}°"
        return (label(span.rjust(_AXIS - 1) + " "), Ink(cells, "warn"))

    def _throttled(self, columns: int) -> Line:
        """The stretches in which the board was slowed down, under the temperature."""
        assert self._replay is not None
        found = highest(self._slowed, columns, self._replay.length)
        mark = self.face.glyphs.levels[-1]
        cells = "".join(" " if value is None else mark for value in found)
        return (label("slowed".rjust(_AXIS - 1) + " "), Ink(cells, "bad"))


class HistogramPane(ProjectionPane):
    """How often which latency came, in the pass at the position."""

    def __init__(self, face: Face, id: str) -> None:  # noqa: A002
        super().__init__(face, "Histogram", id)

    def follow(self, run: RunProjection | None) -> None:
        """Also says of which pass."""
        current = run.current if run else None
        self.title(f"Histogram · {current.precision.value}" if current else "Histogram")
        super().follow(run)

    def lines(self, run: RunProjection) -> list[Line]:
        """One row a bin."""
        width, height = self.content_size
        if run.current is None or run.spec.settings.overlaps:
            return []
        bins = run.current.tally.latency.histogram(max(1, height))
        most = max((count for _, _, count in bins), default=0)
        rows = []
        for low, _, count in bins:
            head = label(f"{words.milliseconds(low):>6} ms ")
            tail = f" {count}".rjust(len(str(most)) + 1)
            room = max(4, width - len(head.text) - len(tail))
            filled = bar(count / most, room, self.face.glyphs)[0] if most else Ink("")
            rows.append(line(head, Ink(filled.text.ljust(room), "accent"), tail))
        return rows


class ReplayBar(Pane):
    """Where a replay stands, and how fast it goes."""

    def __init__(self, face: Face) -> None:
        super().__init__(face, "Replay", "replay-bar")
        self._replay: Replay | None = None

    def follow(self, replay: Replay | None) -> None:
        """Show this replay; None while the run is live."""
        self._replay = replay
        self.title("Replay" if replay else "Live")
        self.update()

    def draw(self) -> list[Line]:
        """One line."""
        replay, width = self._replay, self.content_size.width
        if replay is None:
            return [(label("as it happens; it can be replayed when it is over"),)]
        state = "playing" if replay.playing else "paused"
        left = (Ink(state.ljust(8), "accent"), Ink(f"x{replay.speed:g}".ljust(6)))
        right = (strong(f" {_time(replay.position)}"), label(f" of {_time(replay.length)}"))
        room = max(4, width - sum(len(ink.text) for ink in (*left, *right)))
        at = _column(replay.position, replay.length, room)
        glyphs = self.face.glyphs
        track = (
            Ink(glyphs.track * at, "accent"),
            strong(glyphs.knob),
            label(glyphs.track * (room - at - 1)),
        )
        return [(*left, *track, *right)]


def _column(position: float, length: float, columns: int) -> int:
    share = position / length if length > 0 else 0.0
    return max(0, min(columns - 1, int(share * columns)))


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
