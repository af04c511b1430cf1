"""The latency meter."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgelab import words
from edgelab.asked import AskTally
from edgelab.pass_state import PassState
from edgelab.projection import RunProjection
from edgelab.statistics import RunningPercentiles, samples_needed
from screens.ink import Ink, Line, count, label, sparkline, width_of, wrap
from screens.widgets.projection_pane import ProjectionPane

_PERCENTILE = len("p95 130+ img  ")
_TOLD_IN_FULL = len("TTFT p50 1240 ms")
_STAGE_NAMES = (
    ("mean decode", "preprocess", "infer", "postprocess"),
    ("mean decode", "pre", "infer", "post"),
    ("decode", "pre", "infer", "post"),
    ("dec", "pre", "inf", "post"),
)
_ASK_STAGES = (
    ("mean preprocess", "vision", "prefill", "decode"),
    ("mean pre", "vision", "prefill", "decode"),
    ("pre", "vis", "fill", "dec"),
)


class LatencyPane(ProjectionPane):
    """The latency meter of the pass that is on."""

    def idle(self) -> list[Line]:
        """The names of the figures, without figures."""
        return _figures(None, words.UNKNOWN, self.content_size.width)

    def lines(self, run: RunProjection) -> list[Line]:
        """Now, percentiles, rate, stages and a sparkline."""
        width, height = self.content_size
        state = run.current
        offline = run.spec.settings.overlaps
        if state is not None and state.tally.asked is not None:
            return self._asked(run, state, state.tally.asked)
        now = words.milliseconds(run.recent[-1] if run.recent and not offline else None)
        lines = _figures(None if offline else state, now, width, state)
        if offline:
            return [*lines, *wrap("offline: images overlap, none has a latency of its own", width)]
        newest = list(run.recent)[-width:]
        return [*lines, *self._sparkline(newest, "image", height - len(lines) - 1)]

    def _asked(self, run: RunProjection, state: PassState, asked: AskTally) -> list[Line]:
        """Tokens a second, first tokens, stages of a question and a sparkline of the speed."""
        width, height = self.content_size
        rate, first, whole = run.answer_speeds, asked.first_token, state.tally.latency
        median = "p50 " if width >= 3 * _TOLD_IN_FULL else ""
        cells = [
            ("tok/s", words.number(rate[-1] if rate else None, 1)),
            ("mean", words.number(asked.tokens_per_s, 1)),
            ("q/s", words.number(state.items_per_s, 2)),
            ("TTFT", f"{median}{_percentile_of(first, 0.50, 'q')}"),
            ("p90", _percentile_of(first, 0.90, "q")),
            ("all", f"{median}{_percentile_of(whole, 0.50, 'q')}"),
        ]
        figures = asked.figures()
        means = (figures.preprocess_ms, figures.vision_ms, figures.prefill_ms, figures.decode_ms)
        lines = [_row(cells[:3], width), _row(cells[3:], width), *_named(_ASK_STAGES, means, width)]
        newest = list(rate)[-width:]
        return [*lines, *self._sparkline(newest, "answer", height - len(lines) - 1, "tok/s")]

    def _sparkline(
        self, newest: list[float], what: str, height: int, unit: str = "ms"
    ) -> list[Line]:
        if not self.face.sparkline or not newest or height < 1:
            return []
        rows: list[Line] = [
            (Ink(row, "accent"),) for row in sparkline(newest, min(3, height), self.face.glyphs)
        ]
        top = words.milliseconds(max(newest)) if unit == "ms" else words.number(max(newest), 1)
        told = f"newest {count(len(newest), what)}, from 0 to {top} {unit}"
        if len(told) > self.content_size.width:
            told = told.replace("from ", "")
        return [*rows, (label(told),)]


def _figures(
    state: PassState | None, now: str, width: int, rated: PassState | None = None
) -> list[Line]:
    rate = rated.images_per_s if rated else None
    cells = [
        ("now", f"{now} ms"),
        ("p50", _percentile(state, 0.50)),
        ("p90", _percentile(state, 0.90)),
        ("img/s", words.number(rate, 1)),
        ("p95", _percentile(state, 0.95)),
        ("p99", _percentile(state, 0.99)),
    ]
    rows = [_row(cells[:3], width), _row(cells[3:], width)]
    return [*rows, *_stages(rated, width)]


def _stages(state: PassState | None, width: int) -> list[Line]:
    """Mean milliseconds an image, in words as long as there is room for."""
    means = state.tally.stage_means() if state else None
    if means is None:
        return []
    return _named(_STAGE_NAMES, msgspec.structs.astuple(means), width)


def _named(
    choices: Sequence[Sequence[str]], means: Sequence[float | None], width: int
) -> list[Line]:
    values = [words.milliseconds(mean) for mean in means]
    for names in choices:
        cells = zip(names, values, strict=True)
        inks = [ink for name, value in cells for ink in (label(f"{name} "), Ink(f"{value} "))]
        if width_of(inks) <= width + 1:
            break
    if width_of(inks) + len("ms") <= width:
        inks.append(label("ms"))
    return [tuple(inks)]


def _percentile(state: PassState | None, share: float) -> str:
    """The percentile, or how many images it takes to know it."""
    if state is None:
        return f"{words.UNKNOWN} ms"
    return _percentile_of(state.tally.latency, share)


def _percentile_of(values: RunningPercentiles, share: float, samples: str = "img") -> str:
    value = values.at(share)
    if value is None:
        return f"{samples_needed(share)}+ {samples}"
    return f"{words.milliseconds(value)} ms"


def _row(cells: list[tuple[str, str]], width: int) -> Line:
    column = max(_PERCENTILE, width // 3)
    # The last column needs no gap behind it.
    columns = (width + 1 - 2 * column, column, column)
    inks: list[Ink] = []
    for (name, text), cells_wide in zip(cells, columns, strict=True):
        inks += [label(f"{name} "), Ink(text.ljust(cells_wide - len(name) - 1), "strong")]
    return tuple(inks)
