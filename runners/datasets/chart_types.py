"""Twenty-five types of charts: each draws itself with matplotlib and tells what it drew.

Only the type is given; everything else (how many marks, which values, which look) is drawn by lot
from the sheet's generator, so that the same seed gives the same chart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from runners.datasets.chart_facts import ChartType, Facts
from runners.datasets.chart_style import Style, dress, names

Numbers = NDArray[np.float64]


@dataclass
class Sheet:
    """What a chart is drawn on, and what its lots are drawn from."""

    figure: Any
    rng: Generator
    style: Style

    def axes(self, **options: Any) -> Any:
        """The one pair of axes, dressed; `options` go to matplotlib."""
        low = 0.06 if options.get("projection") else 0.14
        spread = self.rng.uniform(0, 0.06, 4)
        box = (low + spread[0], low + spread[1], 0.94 - low - spread[2], 0.9 - low - spread[3])
        axes = self.figure.add_axes(box, **options)
        dress(axes, self.style)
        return axes

    def bare_axes(self) -> Any:
        """Axes without ticks, for charts that have none."""
        axes = self.axes()
        axes.set_axis_off()
        return axes

    def whole(self, low: int, high: int) -> int:
        """A whole number of [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def colours(self, count: int) -> list[Any]:
        """`count` colours of the palette; it begins again where that is not enough."""
        palette = self.style.palette
        return [palette[index % len(palette)] for index in range(count)]

    def colour(self) -> Any:
        """One colour."""
        return self.style.palette[0]

    def values(self, low: int, high: int) -> dict[str, int]:
        """Names with values that a person can tell apart: at least 4 of 100 between any two."""
        count = self.whole(low, high)
        steps = self.rng.choice(np.arange(10, 100, 6), count, replace=False)
        heights = [int(step) + self.whole(0, 2) for step in steps]
        return dict(zip(names(self.rng, count), heights, strict=True))

    def walk(self, count: int) -> Numbers:
        """A random walk of `count` points between 10 and 100."""
        path = self.rng.normal(0, 1, count).cumsum() + self.rng.normal(0, 1)
        path -= path.min()
        low = self.rng.uniform(10, 40)
        return np.asarray(low + path / max(path.max(), 1e-9) * (self.rng.uniform(70, 100) - low))


Draw = Callable[[Sheet], Facts]


# Bars -----------------------------------------------------------------------------------------


def bar(sheet: Sheet) -> Facts:
    """One bar a name, upright."""
    values = sheet.values(3, 9)
    axes = sheet.axes()
    bars = axes.bar(
        list(values), list(values.values()), 1 - sheet.style.gap, color=_bar_colours(sheet, values)
    )
    _label_bars(sheet, axes, bars)
    _fit_names(axes, values)
    return _bar_facts(sheet, values)


def horizontal_bar(sheet: Sheet) -> Facts:
    """One bar a name, lying."""
    values = sheet.values(3, 9)
    axes = sheet.axes()
    bars = axes.barh(
        list(values), list(values.values()), 1 - sheet.style.gap, color=_bar_colours(sheet, values)
    )
    _label_bars(sheet, axes, bars)
    return _bar_facts(sheet, values, "longest", "shortest", "longer")


def grouped_bar(sheet: Sheet) -> Facts:
    """Bars of two to four series side by side."""
    rows, columns = sheet.whole(2, 4), sheet.whole(2, 5)
    data = sheet.rng.uniform(10, 100, (rows, columns))
    axes = sheet.axes()
    width = (1 - sheet.style.gap) / rows
    for index, (row, colour) in enumerate(zip(data, sheet.colours(rows), strict=True)):
        axes.bar(np.arange(columns) + index * width, row, width * 0.95, color=colour)
    _name_groups(sheet, axes, columns, (rows - 1) * width / 2)
    return Facts({"groups": columns, "bars in each group": rows})


def stacked_bar(sheet: Sheet) -> Facts:
    """Bars of two to four series on top of each other."""
    rows, columns = sheet.whole(2, 4), sheet.whole(3, 7)
    data = sheet.rng.uniform(10, 60, (rows, columns))
    axes = sheet.axes()
    floor = np.zeros(columns)
    for row, colour in zip(data, sheet.colours(rows), strict=True):
        axes.bar(np.arange(columns), row, 1 - sheet.style.gap, floor, color=colour)
        floor += row
    _name_groups(sheet, axes, columns, 0.0)
    return Facts({"bars": columns, "parts in each bar": rows})


def waterfall(sheet: Sheet) -> Facts:
    """Steps up and down from a start, and the total."""
    count = sheet.whole(4, 7)
    steps = sheet.rng.uniform(8, 30, count) * sheet.rng.choice([-1, 1], count, p=[0.4, 0.6])
    steps[0] = sheet.rng.uniform(40, 70)
    ends = steps.cumsum()
    up, down, total = sheet.colours(3)
    axes = sheet.axes()
    colours = [total, *(up if step > 0 else down for step in steps[1:]), total]
    axes.bar(np.arange(count + 1), [*steps, ends[-1]], 0.75, [0, *ends[:-1], 0], color=colours)
    for index, end in enumerate(ends):
        axes.plot([index, index + 1], [end, end], color=sheet.style.ink, lw=0.6)
    _name_groups(sheet, axes, count + 1, 0.0)
    return Facts({"bars": count + 1})


def histogram(sheet: Sheet) -> Facts:
    """Frequencies of a sample of one or two humps, without gaps."""
    rng = sheet.rng
    sample = rng.normal(rng.uniform(20, 60), rng.uniform(4, 15), sheet.whole(80, 400))
    if rng.random() < 0.4:
        sample = np.concatenate([sample, rng.normal(rng.uniform(60, 110), 8, len(sample) // 2)])
    bins = sheet.whole(9, 24)
    edge = sheet.style.background if rng.random() < 0.5 else sheet.colour()
    sheet.axes().hist(sample, bins, color=sheet.colour(), edgecolor=edge, linewidth=0.4)
    return Facts()


def _bar_facts(
    sheet: Sheet,
    values: dict[str, int],
    most: str = "highest",
    least: str = "lowest",
    more: str = "higher",
) -> Facts:
    return Facts(
        {"bars": len(values)},
        values,
        f"Which bar is the {most}?",
        f"Which bar is the {least}?",
        f"Is {{}} {more} than {{}}?",
        labelled=sheet.style.labelled,
    )


def _bar_colours(sheet: Sheet, values: dict[str, int]) -> Any:
    return sheet.colours(len(values)) if sheet.rng.random() < 0.5 else sheet.colour()


def _label_bars(sheet: Sheet, axes: Any, bars: Any) -> None:
    if sheet.style.labelled:
        axes.bar_label(bars, fontsize=sheet.style.font_size, color=sheet.style.ink, padding=1)


def _fit_names(axes: Any, values: dict[str, int]) -> None:
    """Long names on many bars stand upright, as they would overlap."""
    if len(values) > 5 and max(map(len, values)) > 1:
        axes.tick_params(axis="x", labelrotation=90)


def _name_groups(sheet: Sheet, axes: Any, count: int, middle: float) -> None:
    axes.set_xticks(np.arange(count) + middle, names(sheet.rng, count))
    if count > 5:
        axes.tick_params(axis="x", labelrotation=90)


# Lines ----------------------------------------------------------------------------------------


def line(sheet: Sheet) -> Facts:
    """One line over few names."""
    values = sheet.values(4, 9)
    axes = sheet.axes()
    _plot(sheet, axes, list(values), list(values.values()))
    _fit_names(axes, values)
    return Facts(
        {"points": len(values)}, values,
        "Where is the line at its highest?", "Where is the line at its lowest?",
    )  # fmt: skip


def multi_line(sheet: Sheet) -> Facts:
    """Two to five lines with a legend; they are told apart by where they end."""
    values = sheet.values(2, 5)
    axes = sheet.axes()
    points = sheet.whole(6, 20)
    for (name, end), colour in zip(values.items(), sheet.colours(len(values)), strict=True):
        walk = sheet.walk(points)
        _plot(sheet, axes, range(points), walk + (end - walk[-1]), colour, name)
    _legend(sheet, axes)
    return Facts(
        {"lines": len(values)}, values, "Which line ends the highest?",
        "Which line ends the lowest?", "Does {} end higher than {}?",
    )  # fmt: skip


def step(sheet: Sheet) -> Facts:
    """One line of steps."""
    count = sheet.whole(6, 16)
    walk, width = sheet.walk(count), sheet.style.line_width
    sheet.axes().step(range(count), walk, where="mid", color=sheet.colour(), lw=width)
    return Facts()


def area(sheet: Sheet) -> Facts:
    """One line with all below it filled."""
    count = sheet.whole(6, 25)
    walk = sheet.walk(count)
    axes = sheet.axes()
    axes.fill_between(range(count), walk, color=sheet.colour(), alpha=sheet.rng.uniform(0.5, 1))
    axes.plot(range(count), walk, color=sheet.colour(), lw=sheet.style.line_width)
    axes.set_ylim(0)
    return Facts()


def stacked_area(sheet: Sheet) -> Facts:
    """Two to five areas on top of each other."""
    values = sheet.values(2, 5)
    points = sheet.whole(6, 20)
    axes = sheet.axes()
    data = [sheet.walk(points) for _ in values]
    axes.stackplot(range(points), *data, labels=list(values), colors=sheet.colours(len(values)))
    _legend(sheet, axes)
    return Facts({"areas": len(values)})


def error_bar(sheet: Sheet) -> Facts:
    """Points with their errors, joined by a line or not."""
    count = sheet.whole(4, 10)
    marker = str(sheet.rng.choice(["o", "s", "o-"]))
    sheet.axes().errorbar(
        range(count), sheet.walk(count), sheet.rng.uniform(4, 15, count), fmt=marker,
        color=sheet.colour(), ecolor=sheet.style.ink, capsize=2.5, ms=3, lw=sheet.style.line_width,
    )  # fmt: skip
    return Facts({"points": count})


def lollipop(sheet: Sheet) -> Facts:
    """One stem with a head a name."""
    values = sheet.values(3, 9)
    axes = sheet.axes()
    x, heights, colour = list(values), list(values.values()), sheet.colour()
    axes.vlines(x, 0, heights, color=colour, lw=sheet.style.line_width)
    axes.plot(x, heights, "o", color=colour, ms=sheet.rng.uniform(3, 6))
    axes.set_ylim(0)
    _fit_names(axes, values)
    return Facts(
        {"stems": len(values)}, values, "Which stem is the highest?", "Which stem is the lowest?"
    )  # fmt: skip


def _plot(
    sheet: Sheet, axes: Any, x: Any, y: Any, colour: Any = None, name: str | None = None
) -> None:
    marker = str(sheet.rng.choice(["", "o", "s", "^"]))
    axes.plot(
        x, y, marker=marker or None, ms=3, lw=sheet.style.line_width,
        color=sheet.colour() if colour is None else colour, label=name,
    )  # fmt: skip


def _legend(sheet: Sheet, axes: Any) -> None:
    axes.legend(
        fontsize=sheet.style.font_size - 0.5, loc="upper left", labelcolor=sheet.style.ink,
        facecolor=sheet.style.background, framealpha=0.6, borderpad=0.3, labelspacing=0.2,
    )  # fmt: skip


# Points ---------------------------------------------------------------------------------------


def scatter(sheet: Sheet) -> Facts:
    """Points of one to three groups."""
    groups = sheet.whole(1, 3)
    axes = sheet.axes()
    for colour in sheet.colours(groups):
        x, y = _cloud(sheet, sheet.whole(15, 60))
        axes.scatter(x, y, sheet.rng.uniform(3, 12), color=colour, alpha=0.8)
    return Facts({"colours of points": groups})


def bubble(sheet: Sheet) -> Facts:
    """Few points of very different sizes."""
    count = sheet.whole(6, 16)
    x, y = _cloud(sheet, count)
    sheet.axes().scatter(
        x, y, sheet.rng.uniform(20, 350, count), color=sheet.colours(count), alpha=0.55
    )
    return Facts()


def _cloud(sheet: Sheet, count: int) -> tuple[Numbers, Numbers]:
    """Points along a slope, with noise."""
    rng = sheet.rng
    x = rng.normal(rng.uniform(20, 80), rng.uniform(8, 25), count)
    return x, x * rng.uniform(-1.5, 1.5) + rng.normal(0, rng.uniform(5, 30), count)


# Circles --------------------------------------------------------------------------------------


def pie(sheet: Sheet) -> Facts:
    """Slices of a disc."""
    return _slices(sheet, 1.0)


def donut(sheet: Sheet) -> Facts:
    """Slices of a ring."""
    return _slices(sheet, float(sheet.rng.uniform(0.25, 0.5)))


def radar(sheet: Sheet) -> Facts:
    """One to three closed lines around a centre."""
    series, spokes = sheet.whole(1, 3), sheet.whole(4, 8)
    axes = sheet.axes(projection="polar")
    angles = np.linspace(0, 2 * pi, spokes, endpoint=False)
    for colour in sheet.colours(series):
        values = sheet.rng.uniform(20, 100, spokes)
        closed = np.append(angles, 0), np.append(values, values[0])
        axes.plot(*closed, color=colour, lw=sheet.style.line_width)
        axes.fill(*closed, color=colour, alpha=0.25)
    axes.set_xticks(angles, names(sheet.rng, spokes))
    axes.set_yticks([25, 50, 75], [])
    axes.grid(visible=True, color=sheet.style.ink, alpha=0.3, linewidth=0.5)
    return Facts({"axes": spokes, "shapes": series})


def rose(sheet: Sheet) -> Facts:
    """Bars around a centre."""
    count = sheet.whole(5, 12)
    axes = sheet.axes(projection="polar")
    angles = np.linspace(0, 2 * pi, count, endpoint=False)
    axes.bar(angles, sheet.rng.uniform(20, 100, count), 2 * pi / count, color=sheet.colours(count))
    axes.set_xticks(angles, [])
    axes.set_yticks([25, 50, 75], [])
    return Facts({"sectors": count})


def _slices(sheet: Sheet, width: float) -> Facts:
    values = sheet.values(2, 6)
    sheet.bare_axes().pie(
        list(values.values()), labels=list(values), colors=sheet.colours(len(values)),
        startangle=sheet.rng.uniform(0, 360), counterclock=bool(sheet.rng.random() < 0.5),
        wedgeprops={"width": width, "edgecolor": sheet.style.background, "linewidth": 0.7},
        textprops={"fontsize": sheet.style.font_size, "color": sheet.style.ink},
    )  # fmt: skip
    return Facts(
        {"slices": len(values)}, values,
        "Which slice is the largest?", "Which slice is the smallest?", "Is {} larger than {}?",
    )  # fmt: skip


# Distributions and fields ---------------------------------------------------------------------


def box(sheet: Sheet) -> Facts:
    """A box plot of two to six samples."""
    samples = _samples(sheet)
    axes = sheet.axes()
    ink = {"color": sheet.style.ink, "linewidth": 0.7}
    drawn = axes.boxplot(
        samples, patch_artist=True, widths=1 - sheet.style.gap, boxprops=dict(ink),
        whiskerprops=ink, capprops=ink, medianprops={**ink, "linewidth": 1.2},
        flierprops={"markersize": 2},
    )  # fmt: skip
    for patch, colour in zip(drawn["boxes"], sheet.colours(len(samples)), strict=True):
        patch.set_facecolor(colour)
    return Facts({"boxes": len(samples)})


def violin(sheet: Sheet) -> Facts:
    """The densities of two to six samples."""
    samples = _samples(sheet)
    drawn = sheet.axes().violinplot(samples, widths=0.9, showextrema=bool(sheet.rng.random() < 0.5))
    for body, colour in zip(drawn["bodies"], sheet.colours(len(samples)), strict=True):
        body.set_facecolor(colour)
        body.set_alpha(0.85)
    return Facts({"violins": len(samples)})


def heatmap(sheet: Sheet) -> Facts:
    """A grid of coloured cells."""
    rows, columns = sheet.whole(3, 9), sheet.whole(3, 9)
    axes = sheet.axes()
    axes.grid(visible=False)
    axes.imshow(sheet.rng.random((rows, columns)), cmap=sheet.style.colour_map, aspect="auto")
    return Facts({"rows": rows, "columns": columns})


def contour(sheet: Sheet) -> Facts:
    """Lines or bands of equal height over a field of hills."""
    grid = np.linspace(0, 1, 24)
    x, y = np.meshgrid(grid, grid)
    field = np.zeros_like(x)
    for _ in range(sheet.whole(2, 4)):
        centre, width = sheet.rng.random(2), sheet.rng.uniform(0.05, 0.2)
        hill = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / width**2 / 2)
        field += sheet.rng.uniform(-1, 1) * hill
    axes = sheet.axes()
    draw = axes.contourf if sheet.rng.random() < 0.5 else axes.contour
    draw(x, y, field, sheet.whole(6, 11), cmap=sheet.style.colour_map)
    return Facts()


def candlestick(sheet: Sheet) -> Facts:
    """Open, high, low and close of a price, day by day."""
    count = sheet.whole(10, 25)
    closes = sheet.walk(count)
    opens = np.append(closes[0] + sheet.rng.normal(0, 5), closes[:-1])
    reach = sheet.rng.uniform(1, 6, (2, count))
    rise, fall = sheet.colours(2)
    colours = [rise if end >= begin else fall for begin, end in zip(opens, closes, strict=True)]
    axes = sheet.axes()
    low, high = np.minimum(opens, closes), np.maximum(opens, closes)
    axes.vlines(np.arange(count), low - reach[0], high + reach[1], colors=colours, lw=0.8)
    axes.bar(np.arange(count), np.maximum(high - low, 0.5), 0.7, low, color=colours)
    return Facts({"candles": count})


def treemap(sheet: Sheet) -> Facts:
    """Areas that fill a rectangle, cut in halves of nearly equal weight."""
    values = dict(sorted(sheet.values(4, 9).items(), key=lambda entry: -entry[1]))
    axes = sheet.bare_axes()
    colours = dict(zip(values, sheet.colours(len(values)), strict=True))
    for name, (x, y, width, height) in _tiles(values, (0.0, 0.0, 1.0, 1.0)).items():
        axes.bar(
            x, height, width, y, align="edge", color=colours[name],
            edgecolor=sheet.style.background, linewidth=1.2,
        )  # fmt: skip
        axes.text(
            x + width / 2, y + height / 2, name, ha="center", va="center",
            fontsize=sheet.style.font_size, color=sheet.style.ink,
        )  # fmt: skip
    return Facts(
        {"rectangles": len(values)}, values,
        "Which rectangle is the largest?", "Which rectangle is the smallest?",
        "Is {} larger than {}?",
    )  # fmt: skip


Tile = tuple[float, float, float, float]
"""Left, bottom, width, height."""


def _tiles(values: dict[str, int], tile: Tile) -> dict[str, Tile]:
    """A tile a name, of an area that goes with its value; the longer side is cut."""
    if len(values) == 1:
        return dict.fromkeys(values, tile)
    entries, total = list(values.items()), sum(values.values())
    sums = np.cumsum([value for _, value in entries])
    cut = 1 + int(np.argmin(np.abs(sums[:-1] - total / 2)))
    share = float(sums[cut - 1]) / total
    x, y, width, height = tile
    if width >= height:
        halves = (x, y, width * share, height), (x + width * share, y, width * (1 - share), height)
    else:
        halves = (x, y, width, height * share), (x, y + height * share, width, height * (1 - share))
    first, second = halves
    return _tiles(dict(entries[:cut]), first) | _tiles(dict(entries[cut:]), second)


def _samples(sheet: Sheet) -> list[Numbers]:
    rng = sheet.rng
    return [
        rng.normal(rng.uniform(30, 80), rng.uniform(5, 18), sheet.whole(20, 60))
        for _ in range(sheet.whole(2, 6))
    ]


DRAWERS: dict[ChartType, Draw] = {
    "area": area,
    "bar": bar,
    "box": box,
    "bubble": bubble,
    "candlestick": candlestick,
    "contour": contour,
    "donut": donut,
    "error bar": error_bar,
    "grouped bar": grouped_bar,
    "heatmap": heatmap,
    "histogram": histogram,
    "horizontal bar": horizontal_bar,
    "line": line,
    "lollipop": lollipop,
    "multi-line": multi_line,
    "pie": pie,
    "radar": radar,
    "rose": rose,
    "scatter": scatter,
    "stacked area": stacked_area,
    "stacked bar": stacked_bar,
    "step": step,
    "treemap": treemap,
    "violin": violin,
    "waterfall": waterfall,
}
"""How each type is drawn."""
