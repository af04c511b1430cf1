"""How a chart looks, drawn by lot: colours, background, grid, frame, sizes, words."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator
from numpy.random import Generator

Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 1."""

NAMES: tuple[tuple[str, ...], ...] = (
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ("A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"),
    ("2015", "2016", "2017", "2018", "2019", "2020", "2021", "2022", "2023", "2024"),
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ("Oslo", "Rome", "Lima", "Cairo", "Paris", "Tokyo", "Delhi", "Quito", "Accra"),
    ("Apple", "Pear", "Plum", "Fig", "Kiwi", "Lime", "Mango", "Melon", "Peach"),
    ("North", "South", "East", "West", "Centre"),
)
"""What the axes and legends of a chart speak of; one list a chart."""

TITLES = (
    *("Sales", "Output", "Visitors", "Rainfall", "Energy use", "Exports", "Test scores"),
    *("Budget", "Orders", "Yield", "Traffic", "Costs", "Members", "Deliveries"),
)

_LIGHT = ((1.0, 1.0, 1.0), (0.97, 0.97, 0.95), (0.92, 0.92, 0.95), (0.95, 0.97, 1.0))
_DARK = ((0.08, 0.08, 0.1), (0.12, 0.14, 0.2))
_MAPS = ("viridis", "magma", "Blues", "YlOrRd", "coolwarm", "Greens", "cividis")


@dataclass(frozen=True)
class Style:
    """The look of one chart. Sizes are in points; `gap` is what lies between bars, as a share."""

    background: Colour
    ink: Colour
    palette: tuple[Colour, ...]
    colour_map: str
    font_size: float
    line_width: float
    gap: float
    grid: bool
    framed: bool
    labelled: bool
    title: str | None


def draw_style(rng: Generator, pixels: int) -> Style:
    """A style by lot, with letters and lines that suit an image of so many px a side."""
    dark = rng.random() < 0.15
    backgrounds = _DARK if dark else _LIGHT
    scale = (pixels / 224) ** 0.7
    return Style(
        background=backgrounds[int(rng.integers(len(backgrounds)))],
        ink=(0.9, 0.9, 0.9) if dark else (0.15, 0.15, 0.15),
        palette=_palette(rng, dark),
        colour_map=_MAPS[int(rng.integers(len(_MAPS)))],
        font_size=float(rng.uniform(5.5, 7.5)) * scale,
        line_width=float(rng.uniform(0.8, 2.0)) * scale,
        gap=float(rng.uniform(0.15, 0.5)),
        grid=bool(rng.random() < 0.4),
        framed=bool(rng.random() < 0.5),
        labelled=bool(rng.random() < 0.35),
        title=TITLES[int(rng.integers(len(TITLES)))] if rng.random() < 0.6 else None,
    )


def dress(axes: Any, style: Style) -> None:
    """Give matplotlib axes the style: colours, letters, grid, frame, title."""
    axes.set_facecolor(style.background)
    axes.tick_params(
        colors=style.ink, labelsize=style.font_size, width=0.5, length=2.0, pad=1.5, which="both"
    )
    for name, spine in axes.spines.items():
        spine.set_color(style.ink)
        spine.set_linewidth(0.6)
        spine.set_visible(style.framed or name not in ("top", "right"))
    if style.grid:
        axes.grid(visible=True, color=style.ink, alpha=0.2, linewidth=0.5)
        axes.set_axisbelow(True)
    # Few ticks, and a title that need not look for its place: two thirds of the drawing time.
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    if style.title is not None:
        axes.set_title(style.title, fontsize=style.font_size + 1.5, color=style.ink, pad=3, y=1.0)


def names(rng: Generator, count: int) -> list[str]:
    """`count` names of one list, in its order."""
    lists: Sequence[tuple[str, ...]] = [each for each in NAMES if len(each) >= count]
    chosen = lists[int(rng.integers(len(lists)))]
    start = int(rng.integers(len(chosen) - count + 1))
    return list(chosen[start : start + count])


def _palette(rng: Generator, dark: bool) -> tuple[Colour, ...]:
    """Eight colours: one hue in steps of lightness, or hues around the circle."""
    hue, value = float(rng.random()), 0.95 if dark else float(rng.uniform(0.55, 0.9))
    saturation = float(rng.uniform(0.45, 0.9))
    if rng.random() < 0.25:
        steps = [0.35 + 0.65 * step / 7 for step in range(8)]
        return tuple(colorsys.hsv_to_rgb(hue, saturation * (1.2 - s), s) for s in steps)
    golden = 0.618033988749895
    return tuple(
        colorsys.hsv_to_rgb((hue + step * golden) % 1, saturation, value) for step in range(8)
    )
