"""The live panels: a run's state as it happens, or as it happened. Lab and replay share them."""

from __future__ import annotations

from datetime import datetime

import msgspec
from textual.app import ComposeResult
from textual.containers import Container

from edgelab import words
from edgelab.projection import PassState, RunProjection
from edgelab.records import Item, Outcome, Sample
from edgelab.spec import Scenario
from edgelab.statistics import samples_needed
from screens.face import Face
from screens.glyphs import Glyphs
from screens.ink import (
    BLANK,
    Ink,
    Line,
    Tone,
    bar,
    count,
    flow,
    label,
    line,
    sparkline,
    spread,
    strong,
    width_of,
    wrap,
)
from screens.widgets.pane import Pane

_TONES: dict[Outcome, Tone] = {
    Outcome.QUEUED: "label",
    Outcome.RUNNING: "accent",
    Outcome.FINISHED: "good",
    Outcome.STOPPED: "warn",
}
_MOST_CORES = 8
_NAME = 7
_STAGE_NAMES = (
    ("mean decode", "preprocess", "infer", "postprocess"),
    ("mean decode", "pre", "infer", "post"),
    ("decode", "pre", "infer", "post"),
    ("dec", "pre", "inf", "post"),
)


def outcome_tone(outcome: Outcome) -> Tone:
    """The colour that goes with the word; the word is always there."""
    return _TONES.get(outcome, "bad")


class ProjectionPane(Pane):
    """A panel of one run; without a run it shows `idle`."""

    def __init__(self, face: Face, title: str, id: str) -> None:  # noqa: A002
        super().__init__(face, title, id)
        self.run: RunProjection | None = None

    def follow(self, run: RunProjection | None) -> None:
        """Show this state of a run."""
        self.run = run
        self.update()

    def draw(self) -> list[Line]:
        """The run, or what to do when there is none."""
        return self.idle() if self.run is None else self.lines(self.run)

    def idle(self) -> list[Line]:
        """Shown while no run is."""
        return []

    def lines(self, run: RunProjection) -> list[Line]:
        """Shown of a run."""
        raise NotImplementedError


class RunPane(ProjectionPane):
    """What is being run, how far it is, how it ended."""

    hint = ""

    def suggest(self, hint: str) -> None:
        """What to do while there is no run."""
        self.hint = hint
        self.update()

    def idle(self) -> list[Line]:
        """One sentence for the first visit."""
        return [BLANK, *wrap(self.hint, self.content_size.width, "strong")]

    def lines(self, run: RunProjection) -> list[Line]:
        """Names, step, bar, times; then the latest image, or the reason of a bad end."""
        width, height = self.content_size
        settings = run.spec.settings
        what = words.plain(f"{settings.model} on {settings.dataset}", max(20, width - 12))
        head = [
            spread((strong(what),), (label(f"#{run.spec.number}"),), width),
            self._step_line(run, width),
            self._bar_line(run, width),
            self._time_line(run, width),
            BLANK,
        ]
        if run.outcome.over and run.outcome is not Outcome.FINISHED:
            return [*head, *self._reason(run, width, height - len(head))]
        return [*head, *_latest(run, width), *_notes(run, width)]

    def _step_line(self, run: RunProjection, width: int) -> Line:
        state = Ink(run.outcome.value, outcome_tone(run.outcome))
        if run.outcome.over or run.step is None:
            precisions = " ".join(p.value for p in run.passes)
            return spread((label(precisions),), (state,), width)
        step = [Ink(run.step)]
        names = [precision.value for precision in run.passes]
        if run.step in names:
            step.append(label(f" ({names.index(run.step) + 1} of {len(names)})"))
        if run.phase is not None:
            step.append(label(f" · {words.plain(run.phase.name)}"))
        return spread(step, (state,), width)

    def _bar_line(self, run: RunProjection, width: int) -> Line:
        done, total, unit = _progress(run)
        if not total:
            return (label("nothing counted yet"),)
        counted = Ink(f" {done} of {total} {unit}")
        percent = Ink(f"{100 * done / total:.0f} %".rjust(6))
        room = max(4, width - width_of((counted, percent)))
        return (*bar(done / total, room, self.face.glyphs), counted, percent)

    def _time_line(self, run: RunProjection, width: int) -> Line:
        inks = [label("took " if run.outcome.over else "for "), Ink(_clock(run.elapsed_s))]
        left = run.time_left_s
        if left is not None:
            inks += [label("   left "), Ink(_clock(left))]
        errors = run.errors
        right = (Ink(f"{errors} unreadable", "warn"),) if errors else ()
        return spread(inks, right, width)

    def _reason(self, run: RunProjection, width: int, height: int) -> list[Line]:
        text = run.reason or run.failure or "no reason was recorded"
        rows = [words.plain(row, 400) for row in text.splitlines()]
        return wrap("\n".join(rows), width, "plain", max(1, height))


class LatencyPane(ProjectionPane):
    """The latency meter of the pass that is on."""

    def idle(self) -> list[Line]:
        """The names of the figures, without figures."""
        return _figures(None, words.UNKNOWN, self.content_size.width)

    def lines(self, run: RunProjection) -> list[Line]:
        """Now, percentiles, rate, stages and a sparkline."""
        width, height = self.content_size
        state = run.current
        offline = run.spec.settings.scenario is Scenario.OFFLINE
        now = words.milliseconds(run.recent[-1] if run.recent and not offline else None)
        lines = _figures(None if offline else state, now, width, state)
        if offline:
            return [*lines, *wrap("offline: images overlap, none has a latency of its own", width)]
        if self.face.sparkline and run.recent and height > len(lines) + 1:
            lines += self._sparkline(list(run.recent)[-width:], min(3, height - len(lines) - 1))
        return lines

    def _sparkline(self, newest: list[float], height: int) -> list[Line]:
        rows: list[Line] = [
            (Ink(row, "accent"),) for row in sparkline(newest, height, self.face.glyphs)
        ]
        top = words.milliseconds(max(newest))
        return [*rows, (label(f"newest {count(len(newest), 'image')}, from 0 to {top} ms"),)]


class BoardPane(ProjectionPane):
    """CPU, frequency, temperature, memory, and what the runner takes of them."""

    def __init__(self, face: Face, title: str, id: str) -> None:  # noqa: A002
        super().__init__(face, title, id)
        self._reading: Sample | None = None
        self._read_at = ""

    def rest(self, reading: Sample, at: datetime) -> None:
        """A reading taken while no run is on, and when."""
        self._reading, self._read_at = reading, f"{at:%H:%M:%S}"
        self.update()

    def idle(self) -> list[Line]:
        """The last reading and its time: at rest nothing moves."""
        if self._reading is None:
            return []
        lines = self._board(self._reading, self.content_size.width)
        return [*lines, BLANK, (label("at rest · read at "), Ink(self._read_at))]

    def lines(self, run: RunProjection) -> list[Line]:
        """The newest sample of the run."""
        sample, width = run.sample, self.content_size.width
        if sample is None:
            return [(label("no reading yet"),)]
        return [*self._board(sample, width), BLANK, *_runner(sample, width)]

    def _board(self, sample: Sample, width: int) -> list[Line]:
        glyphs = self.face.glyphs
        lines = self._cores(sample, width)
        if sample.frequency_mhz:
            low, high = min(sample.frequency_mhz), max(sample.frequency_mhz)
            text = f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
            lines.append(spread((label("clock"),), (Ink(f"{text} MHz"),), width))
        else:
            lines.append(spread((label("clock"),), (label(words.UNKNOWN),), width))
        if sample.memory_used is not None and sample.memory_total:
            text = f"{sample.memory_used / 1e9:.1f} of {sample.memory_total / 1e9:.1f} GB"
            share = sample.memory_used / sample.memory_total
            lines.append(_gauge("memory", share, text, width, glyphs))
        if sample.swap_used:
            lines.append(
                spread((label("swap"),), (Ink(f"{sample.swap_used / 1e9:.1f} GB"),), width)
            )
        return [*lines, *_temperatures(sample, width)]

    def _cores(self, sample: Sample, width: int) -> list[Line]:
        glyphs = self.face.glyphs
        if len(sample.cpu) <= _MOST_CORES:
            return [
                _gauge(f"cpu {index}", share / 100, f"{share:.0f} %".rjust(5), width, glyphs)
                for index, share in enumerate(sample.cpu)
            ]
        mean, busiest = sum(sample.cpu) / len(sample.cpu), max(sample.cpu)
        return [
            spread((label("cores"),), (Ink(str(len(sample.cpu))),), width),
            _gauge("mean", mean / 100, f"{mean:.0f} %".rjust(5), width, glyphs),
            _gauge("most", busiest / 100, f"{busiest:.0f} %".rjust(5), width, glyphs),
        ]


class LivePanels(Container):
    """Run, latency and board side by side or stacked, as the screen's stylesheet says."""

    def __init__(self, face: Face) -> None:
        super().__init__(id="live")
        self.run_pane = RunPane(face, "Run", "run-pane")
        self.latency_pane = LatencyPane(face, "Latency", "latency-pane")
        self.board_pane = BoardPane(face, "Board", "board-pane")

    def compose(self) -> ComposeResult:
        """The three panels."""
        with Container(id="meters"):
            yield self.run_pane
            yield self.latency_pane
        yield self.board_pane

    def follow(self, run: RunProjection | None) -> None:
        """Show this state of a run in all panels."""
        current = run.current if run else None
        self.latency_pane.title(f"Latency · {current.precision.value}" if current else "Latency")
        for pane in (self.run_pane, self.latency_pane, self.board_pane):
            pane.follow(run)


def _progress(run: RunProjection) -> tuple[int, int | None, str]:
    """Done, total and unit of the phase; of the whole run where images are measured."""
    measuring = run.current is not None and run.current.started is not None
    if run.outcome.over or measuring or run.phase is None:
        return run.done, run.expected, "images"
    return run.phase_done, run.phase.total, words.plain(run.phase.unit, 12)


def _latest(run: RunProjection, width: int) -> list[Line]:
    item = run.last_item
    if item is None:
        return []
    name = words.plain(item.image, max(12, width))
    lines = [(label("latest image"),), (Ink(name),)]
    if item.error is not None:
        return [*lines, *wrap(words.plain(item.error), width, "warn", 2)]
    return [*lines, *_counts(run, item, width)]


def _counts(run: RunProjection, item: Item, width: int) -> list[Line]:
    truth = words.UNKNOWN if item.truth is None else str(sum(item.truth.values()))
    cells: list[Line] = [(label("true "), strong(f"{truth}  "), label("found "))]
    for threshold, counts in zip(run.spec.settings.thresholds, item.counts, strict=False):
        cells.append((strong(str(sum(counts.values()))), label(f" at {threshold:g}  ")))
    return flow(cells, width)


def _notes(run: RunProjection, width: int) -> list[Line]:
    notes = [words.plain(text) for text in run.warnings]
    if run.damaged_lines:
        notes.append(f"{run.damaged_lines} lines of the journal could not be read")
    lines: list[Line] = []
    for note in notes[-2:]:
        lines += [BLANK, *wrap(f"note: {note}", width, "warn", 2)]
    return lines


def _figures(
    state: PassState | None, now: str, width: int, rated: PassState | None = None
) -> list[Line]:
    column = max(12, width // 3)
    rate = rated.images_per_s if rated else None
    cells = [
        ("now", f"{now} ms"),
        ("p50", _percentile(state, 0.50)),
        ("p90", _percentile(state, 0.90)),
        ("img/s", words.number(rate, 1)),
        ("p95", _percentile(state, 0.95)),
        ("p99", _percentile(state, 0.99)),
    ]
    rows = [_row(cells[:3], column), _row(cells[3:], column)]
    return [*rows, *_stages(rated, width)]


def _stages(state: PassState | None, width: int) -> list[Line]:
    """Mean milliseconds an image, in words as long as there is room for."""
    means = state.tally.stage_means() if state else None
    if means is None:
        return []
    values = [words.milliseconds(v) for v in msgspec.structs.astuple(means)]
    for names in _STAGE_NAMES:
        cells = zip(names, values, strict=True)
        inks = [ink for name, value in cells for ink in (label(f"{name} "), Ink(f"{value} "))]
        if width_of(inks) <= width + 1:
            break
    return [tuple(inks)]


def _percentile(state: PassState | None, share: float) -> str:
    """The percentile, or how many images it still takes to know it."""
    if state is None:
        return f"{words.UNKNOWN} ms"
    value = state.tally.latency.at(share)
    if value is None:
        return f"needs {samples_needed(share)}"
    return f"{words.milliseconds(value)} ms"


def _row(cells: list[tuple[str, str]], column: int) -> Line:
    inks: list[Ink] = []
    for name, text in cells:
        inks += [label(f"{name} "), Ink(text.ljust(column - len(name) - 1), "strong")]
    return tuple(inks)


def _runner(sample: Sample, width: int) -> list[Line]:
    cpu = words.UNKNOWN if sample.runner_cpu is None else f"{sample.runner_cpu:.0f} %"
    memory = words.megabytes(sample.runner_memory)
    return [
        spread((label("runner cpu"),), (Ink(cpu),), width),
        spread((label("runner memory"),), (Ink(f"{memory} MB"),), width),
    ]


def _temperatures(sample: Sample, width: int) -> list[Line]:
    if not sample.temperatures:
        return [spread((label("temperature"),), (label(words.UNKNOWN),), width)]
    hottest = sorted(sample.temperatures.items(), key=lambda pair: -pair[1])[:3]
    return [
        spread((label(words.plain(name, max(8, width - 10))),), (Ink(f"{value:.1f} °C"),), width)
        for name, value in hottest
    ]


def _gauge(name: str, share: float, text: str, width: int, glyphs: Glyphs) -> Line:
    room = max(4, width - _NAME - len(text) - 1)
    return line(label(name.ljust(_NAME)), *bar(share, room, glyphs), f" {text}")


def _clock(seconds: float | None) -> str:
    """Whole seconds, so that the line changes once a second and not at every tick."""
    if seconds is None:
        return words.UNKNOWN
    return words.duration(float(round(seconds))) if seconds >= 10 else f"{seconds:.0f} s"
