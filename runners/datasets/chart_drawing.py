"""One chart, drawn with matplotlib's Agg: no window, no file, no font but the one it brings."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runners.datasets.chart_facts import ChartType, Question, questions
from runners.datasets.chart_style import draw_style
from runners.datasets.chart_types import DRAWERS, Sheet
from runners.images import Pixels

DPI = 100


def draw_chart(
    kind: ChartType, pixels: int, seed: tuple[int, ...]
) -> tuple[Pixels, tuple[Question, ...]]:
    """A square chart of so many px a side, and what can be asked of it; the same for a seed."""
    rng = np.random.default_rng(seed)
    style = draw_style(rng, pixels)
    figure = Figure(figsize=(pixels / DPI, pixels / DPI), dpi=DPI, facecolor=style.background)
    canvas = FigureCanvasAgg(figure)
    facts = DRAWERS[kind](Sheet(figure, rng, style))
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    image: Pixels = np.ascontiguousarray(rgba[..., 2::-1])
    return image, questions(kind, facts, style.title, rng)
