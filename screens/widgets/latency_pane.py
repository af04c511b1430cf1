"""The latency meter."""

from __future__ import annotations

import msgspec

from edgelab import words
from edgelab.pass_state import PassState
from edgelab.projection import RunProjection
from edgelab.statistics import samples_needed
from screens.ink import Ink, Line, count, label, sparkline, width_of, wrap
from screens.widgets.projection_pane import ProjectionPane

_PERCENTILE = len("p95 130+ img  ")
_STAGE_NAMES = (
    ("mean decode", "preprocess", "infer", "postprocess"),
    ("mean decode", "pre", "infer", "post"),
    ("decode", "pre", "infer", "post"),
    ("dec", "pre", "inf", "post"),
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
    values = [words.milliseconds(v) for v in msgspec.structs.astuple(means)]
    for names in _STAGE_NAMES:
        cells = zip(names, values, strict=True)
        inks = [ink for name, value in cells for ink in (label(f"{name} "), Ink(f"{value} "))]
        if width_of(inks) <= width + 1:
            break
    return [tuple(inks)]


def _percentile(state: PassState | None, share: float) -> str:
    """The percentile, or how many images it takes to know it."""
    if state is None:
        return f"{words.UNKNOWN} ms"
    value = state.tally.latency.at(share)
    if value is None:
        return f"{samples_needed(share)}+ img"
    return f"{words.milliseconds(value)} ms"


def _row(cells: list[tuple[str, str]], width: int) -> Line:
    column = max(_PERCENTILE, width // 3)
    # The last column needs no gap behind it.
    columns = (width + 1 - 2 * column, column, column)
    inks: list[Ink] = []
    for (name, text), cells_wide in zip(cells, columns, strict=True):
        inks += [label(f"{name} "), Ink(text.ljust(cells_wide - len(name) - 1), "strong")]
    return tuple(inks)
