"""The charts dataset: the same everywhere, balanced, and its answers are what was drawn."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edgelab.catalogue import Catalogue, shipped_profiles
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.schema import SchemaProblem
from runners.datasets import charts
from runners.datasets.chart_drawing import draw_chart
from runners.datasets.chart_facts import CHART_TYPES, ChartType, Facts, questions
from runners.datasets.chart_style import Style, draw_style, names
from runners.datasets.chart_types import DRAWERS, Sheet, _tiles
from runners.datasets.charts import ChartCounts, ChartsDrawing, ChartsProfile

SHIPPED = shipped_profiles() / "datasets"


def small(count: int = 4, types: tuple[ChartType, ...] = ("bar", "pie")) -> ChartsProfile:
    return ChartsProfile(
        schema_version=1,
        title="Small",
        generator="charts",
        drawing=ChartsDrawing(7, 48, types),
        images=ChartCounts(count, 2, 2),
    )


@pytest.mark.parametrize(("name", "types"), [("charts", 11), ("charts25", 25)])
def test_shipped_profiles(name: str, types: int) -> None:
    profile = charts.read_profile(SHIPPED / f"{name}.toml")
    assert len(profile.drawing.types) == types
    assert all(profile.images.of(split) % types == 0 for split in charts.SPLITS)
    assert profile.calibration_split != profile.default_split


def test_every_type_has_a_drawer_that_draws() -> None:
    assert tuple(DRAWERS) == CHART_TYPES
    assert len(CHART_TYPES) == 25
    for kind in CHART_TYPES:
        image, asked = draw_chart(kind, 48, (1, 2, 3))
        assert image.shape == (48, 48, 3)
        assert image.dtype == np.uint8
        assert image.std() > 5, f"{kind}: nothing to be seen"
        assert (asked[0].question, asked[0].answer) == ("What type of chart is this?", kind)


def test_same_seed_same_split(tmp_path: Path) -> None:
    first = charts.ensure_split(small(), "train", tmp_path / "a")
    second = charts.ensure_split(small(), "train", tmp_path / "b")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 4 + 1
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_splits_and_images_differ(tmp_path: Path) -> None:
    contents = [
        path.read_bytes()
        for split in charts.SPLITS
        for path in charts.ensure_split(small(), split, tmp_path).rglob("*.png")
    ]
    assert len(set(contents)) == len(contents) == 4 + 2 + 2


def test_a_drawn_split_reads_as_data_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = charts.ensure_split(small(6), "train", tmp_path)
    drawing = re.compile(r"matplotlib(\..*)?|runners\.datasets\.chart_(drawing|types|style)")
    for module in filter(drawing.fullmatch, list(sys.modules)):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    again = charts.ensure_split(small(6), "train", tmp_path)
    data = charts.read_charts(again, "small", "train")
    assert again == folder
    assert data.classes == ("bar", "pie")
    assert [sample.truth for sample in data.samples] == [{0: 1}, {1: 1}] * 3
    assert all(cv2.imread(str(sample.path)) is not None for sample in data.samples)
    with pytest.raises(Problem, match=r"pip install 'edgelab\[charts\]'"):
        charts.ensure_split(small(8), "train", tmp_path)


def test_a_failed_drawing_leaves_nothing(tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        charts.ensure_split(small(), "val", tmp_path, fail)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".val.lock"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = charts.ensure_split(small(), "val", tmp_path)
    file = folder / "charts.json"
    file.write_text(file.read_text().replace('"label":0', '"label":-1'))
    with pytest.raises(SchemaProblem, match=r"charts\.json.*label"):
        charts.read_file(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_size", "8"), ("types", '["bar", "bar"]'), ("types", '["bar", "spider"]')],
)
def test_a_wrong_profile_is_named(tmp_path: Path, key: str, value: str) -> None:
    text = (SHIPPED / "charts.toml").read_text()
    text = re.sub(rf"^{key} = (\[[^]]*\]|\d+)", f"{key} = {value}", text, flags=re.MULTILINE)
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SchemaProblem, match=key):
        charts.read_profile(path)


def test_the_catalogue_knows_them(tmp_path: Path) -> None:
    entry = Catalogue(Home(tmp_path)).dataset("charts")
    assert entry is not None
    assert entry.require().default_split == "test"


# Answers --------------------------------------------------------------------------------------


def drawn(kind: ChartType, seed: int) -> tuple[Figure, Facts, Style]:
    rng = np.random.default_rng(seed)
    style = draw_style(rng, 96)
    figure = Figure(figsize=(0.96, 0.96), dpi=100)
    FigureCanvasAgg(figure)
    return figure, DRAWERS[kind](Sheet(figure, rng, style)), style


@pytest.mark.parametrize("seed", range(5))
def test_bars_stand_as_the_facts_say(seed: int) -> None:
    figure, facts, style = drawn("bar", seed)
    (axes,) = figure.axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == list(facts.values.values())
    assert facts.counted == {"bars": len(heights)}
    assert facts.labelled == style.labelled == bool(axes.texts)


@pytest.mark.parametrize("seed", range(5))
def test_lines_end_as_the_facts_say(seed: int) -> None:
    figure, facts, _ = drawn("multi-line", seed)
    ends = {line.get_label(): line.get_ydata()[-1] for line in figure.axes[0].lines}
    assert ends == pytest.approx(dict(facts.values))


@pytest.mark.parametrize("kind", ["pie", "donut"])
def test_slices_are_as_large_as_the_facts_say(kind: ChartType) -> None:
    figure, facts, _ = drawn(kind, 3)
    total = sum(facts.values.values())
    angles = [patch.theta2 - patch.theta1 for patch in figure.axes[0].patches]
    assert angles == pytest.approx([360 * value / total for value in facts.values.values()])


@pytest.mark.parametrize(
    ("kind", "things", "count"),
    [
        ("box", "boxes", lambda axes: len(axes.patches)),
        ("violin", "violins", lambda axes: sum(len(c.get_paths()) == 1 for c in axes.collections
                                               if "Fill" in type(c).__name__)),
        ("rose", "sectors", lambda axes: len(axes.patches)),
        ("candlestick", "candles", lambda axes: len(axes.patches)),
        ("waterfall", "bars", lambda axes: len(axes.patches)),
        ("treemap", "rectangles", lambda axes: len(axes.patches)),
        ("stacked area", "areas", lambda axes: len(axes.collections)),
        ("heatmap", "rows", lambda axes: axes.images[0].get_array().shape[0]),
        ("heatmap", "columns", lambda axes: axes.images[0].get_array().shape[1]),
        ("scatter", "colours of points", lambda axes: len(axes.collections)),
        ("lollipop", "stems", lambda axes: len(axes.lines[0].get_ydata())),
    ],
)  # fmt: skip
def test_as_many_as_the_facts_say(kind: ChartType, things: str, count: object) -> None:
    figure, facts, _ = drawn(kind, 11)
    assert callable(count)
    assert facts.counted[things] == count(figure.axes[0])


@given(values=st.dictionaries(st.sampled_from("ABCDEFG"), st.integers(1, 99), min_size=2))
def test_questions_have_the_right_answer(values: dict[str, int]) -> None:
    if len(set(values.values())) < len(values):
        return
    facts = Facts({"bars": len(values)}, values, labelled=True)
    asked = questions("bar", facts, "Sales", np.random.default_rng(0))
    answers = {each.kind: each for each in asked}
    assert values[answers["most"].answer] == max(values.values())
    assert values[answers["least"].answer] == min(values.values())
    assert answers["count"].answer == str(len(values))
    assert answers["title"].answer == "Sales"
    first, second = re.findall(r"\b[A-G]\b", answers["compare"].question)
    assert answers["compare"].answer == ("yes" if values[first] > values[second] else "no")
    (name,) = re.findall(r"\b[A-G]\b", answers["value"].question)
    assert answers["value"].answer == str(values[name])


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 99), min_size=1))
@settings(max_examples=50)
def test_tiles_share_the_area_by_value(values: dict[str, int]) -> None:
    tiles = _tiles(values, (0.0, 0.0, 1.0, 1.0))
    total = sum(values.values())
    for name, (x, y, width, height) in tiles.items():
        assert width * height == pytest.approx(values[name] / total)
        assert -1e-9 <= x <= x + width <= 1 + 1e-9
        assert -1e-9 <= y <= y + height <= 1 + 1e-9


@given(seed=st.integers(0, 1000), low=st.integers(2, 5))
@settings(max_examples=30)
def test_values_can_be_told_apart(seed: int, low: int) -> None:
    rng = np.random.default_rng(seed)
    sheet = Sheet(None, rng, draw_style(rng, 224))
    values = sorted(sheet.values(low, 9).values())
    assert all(after - before >= 4 for before, after in pairwise(values))


def test_names_come_in_order_and_once() -> None:
    for seed in range(20):
        chosen = names(np.random.default_rng(seed), 5)
        assert len(set(chosen)) == 5
