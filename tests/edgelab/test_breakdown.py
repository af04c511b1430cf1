"""A run taken apart by class and by true count, on the command line and in files."""

from __future__ import annotations

import csv
import io
import json

import pytest
from msgspec.structs import replace

from edgelab.breakdown import CLASS_COLUMNS, class_lines, count_lines, lines_csv, range_words
from edgelab.cli import run as run_command
from edgelab.home import Home
from edgelab.outcome import close_run
from edgelab.record import RunRecord
from edgelab.records import (
    Bounds,
    ClassPrecision,
    CountBounds,
    Interval,
    PassScores,
    ThresholdBounds,
)
from edgelab.results import as_dict, rows_of
from edgelab.settings.common import Precision
from edgelab.tally import TrueCountBin
from tests.recorded import (
    CLASSES,
    THRESHOLDS,
    life_of,
    make_item,
    make_record,
    make_spec,
    write_run,
)

SCORES = PassScores(
    t=500.0,
    precision=Precision.FP32,
    counts=tuple(
        ThresholdBounds(
            threshold,
            CountBounds(mae=Bounds(0.1, 0.9)),
            (CountBounds(mae=Bounds(0.2, 0.4)), CountBounds()),
        )
        for threshold in THRESHOLDS
    ),
    map50=Interval(0.5, 0.4, 0.6),
    map50_95=Interval(0.3, 0.2, 0.4),
    classes=(ClassPrecision(Interval(0.7, 0.6, 0.8)), ClassPrecision()),
)


def scored() -> RunRecord:
    record = make_record()
    return replace(record, passes=(replace(record.passes[0], scores=SCORES),))


def test_figures_intervals_and_average_precision_of_a_class_stand_together() -> None:
    circle, star = list(class_lines(scored()))[:2]
    assert (circle.figures.name, star.figures.name) == CLASSES
    assert circle.bounds.mae == Bounds(0.2, 0.4)
    assert circle.precision.ap50 == Interval(0.7, 0.6, 0.8)
    assert (star.bounds, star.precision) == (CountBounds(), ClassPrecision())
    rows = list(csv.DictReader(io.StringIO(lines_csv(CLASS_COLUMNS, [circle, star]))))
    assert (rows[0]["mae_interval"], rows[0]["ap50"], rows[0]["ap50_high"]) == (
        "0.200-0.400", "0.7", "0.8",
    )  # fmt: skip
    assert (rows[1]["mae_interval"], rows[1]["ap50"]) == ("", "")


def test_results_have_map_and_the_interval_of_the_mean() -> None:
    row = as_dict(next(rows_of(scored())))
    assert (row["map50"], row["map50_95_low"], row["mae_interval"]) == (0.5, 0.2, "0.100-0.900")


def test_a_run_from_before_scores_has_none_and_reads_as_before() -> None:
    record = make_record()
    assert record.passes[0].scores is None
    row = as_dict(next(rows_of(record)))
    assert (row["map50"], row["mae_interval"], row["mae_mean_low"]) == (None, None, None)
    assert all(line.bounds == CountBounds() for line in class_lines(record))


def test_the_index_keeps_the_means_only() -> None:
    (summary,) = scored().without_classes().passes
    assert summary.scores is not None
    assert summary.scores.classes == ()
    assert summary.scores.map50 == SCORES.map50
    assert all(each.classes == () for each in summary.scores.counts)


def test_all_images_of_a_class_are_in_its_ranges() -> None:
    record = scored()
    lines = list(count_lines(record))
    for threshold in THRESHOLDS:
        here = [
            line for line in lines if line.row.counts and line.row.counts.threshold == threshold
        ]
        for name in CLASSES:
            assert sum(each.figures.images for each in here if each.name == name) == 20
        assert sum(each.figures.images for each in here if each.name == "all") == 40


@pytest.mark.parametrize(
    ("first", "last", "told"), [(0, 0, "0"), (3, 5, "3-5"), (11, None, "11 and more")]
)
def test_ranges_in_words(first: int, last: int | None, told: str) -> None:
    assert range_words(TrueCountBin(first, last, 1, 0.0, 0.0)) == told


@pytest.fixture
def one_run(home: Home) -> Home:
    journals = life_of([make_item(index, 103.0 + index) for index in range(20)])
    journals["events"].append(SCORES)
    close_run(home, write_run(home, make_spec(1), journals))
    return home


def test_the_command_tells_classes(one_run: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "last", "--by", "class"]) == 0
    said = capsys.readouterr().out
    assert "AP50" in said
    assert "0.200-0.400" in said
    assert len(said.splitlines()) == 2 + len(THRESHOLDS) * len(CLASSES)
    assert run_command(["show", "last", "--by", "class", "--json"]) == 0
    assert {row["class"] for row in json.loads(capsys.readouterr().out)} == set(CLASSES)


def test_the_command_tells_true_counts(one_run: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "last", "--by", "count"]) == 0
    assert "true count" in (said := capsys.readouterr().out)
    assert "circle" not in said, "all classes together; the file has each"
    assert run_command(["show", "last", "--by", "count", "--csv", "-"]) == 0
    assert "circle" in capsys.readouterr().out
    assert run_command(["show", "last", "--csv", "-"]) == 2


def test_studies_as_csv(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["studies", "--csv", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {"name": "counting-cv", "state": "ready to begin"}.items() <= next(
        row for row in rows if row["name"] == "counting-cv"
    ).items()
