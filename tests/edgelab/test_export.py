from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.export import csv_text, items_csv, neutral, results_csv, write_csv
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.results import COLUMNS, SHOWN, rows_of
from tests.recorded import life_of, make_item, make_record, make_spec, write_run

PUBLISHED = [
    "model",
    "precision",
    "threshold",
    "gt_count",
    "pred_count",
    "mae_mean",
    "mse_mean",
    "minutes_per_subdataset_mean",
    "runtime_min",
]


def parse(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_columns_begin_as_the_published_tables_do() -> None:
    assert [column.name for column in COLUMNS][: len(PUBLISHED)] == PUBLISHED


def test_a_row_a_run_precision_and_threshold() -> None:
    rows = parse(results_csv([make_record(1), make_record(2)]))
    assert [(row["run"], row["threshold"]) for row in rows] == [
        ("00000001", "0.3"),
        ("00000001", "0.7"),
        ("00000002", "0.3"),
        ("00000002", "0.7"),
    ]


def test_figures_by_hand() -> None:
    """20 images, each with 2 circles and 1 star; found 2 + 2 at 0.3 and 1 + 0 at 0.7."""
    low, high = parse(results_csv([make_record()]))
    assert (low["gt_count"], low["pred_count"]) == ("60", "80")
    assert (float(low["mae_mean"]), float(low["mse_mean"])) == (0.5, 0.5)
    assert (high["gt_count"], high["pred_count"]) == ("60", "20")
    assert (float(high["mae_mean"]), float(high["mse_mean"])) == (1.0, 1.0)


def test_no_percentile_without_its_samples() -> None:
    row = parse(results_csv([make_record()]))[0]
    assert row["latency_p50_ms"]
    assert row["latency_p90_ms"] == ""  # 20 samples, 64 needed
    assert row["latency_samples"] == "20"


def test_pandas_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    write_csv(path, results_csv([make_record()]))
    frame = pd.read_csv(path)
    assert list(frame.columns) == [column.name for column in COLUMNS]
    assert frame["mae_mean"].tolist() == [0.5, 1.0]
    assert frame["peak_memory_mb"].tolist() == [90.0, 90.0]


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_formulas_are_neutralised(text: str) -> None:
    record = make_record(1, model=text)
    for summary in record.passes:
        record = msgspec.structs.replace(
            record, passes=(msgspec.structs.replace(summary, model_name=text),)
        )
    assert parse(results_csv([record]))[0]["model"] == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert neutral(-1.5) == -1.5
    assert neutral("1") == "1"


@given(st.text(max_size=200))
def test_any_text_survives_the_round_trip(text: str) -> None:
    record = make_record(1, dataset=text or "d")
    assert record.dataset is not None
    record = msgspec.structs.replace(
        record, dataset=msgspec.structs.replace(record.dataset, name=text)
    )
    cell = parse(results_csv([record]))[0]["dataset"]
    written = text.replace("\0", "").encode(errors="replace").decode()
    assert cell.removeprefix("'") == written.removeprefix("'")


@given(st.text(max_size=300))
def test_any_text_is_harmless_on_screen(text: str) -> None:
    record = make_record(1, model=text or "m")
    for row in rows_of(record):
        for column in SHOWN:
            shown = column.text(row)
            assert "\x1b" not in shown
            assert "\n" not in shown
            assert len(shown) <= 200


def test_items_have_a_row_an_image_and_threshold(home: Home) -> None:
    folder = write_run(home, make_spec(), life_of([make_item(i, 103.0 + i) for i in range(3)]))
    rows = parse(items_csv([folder]))
    assert len(rows) == 6
    assert rows[0]["absolute_error"] == "1"
    assert rows[1]["absolute_error"] == "2"
    assert float(rows[0]["latency_ms"]) == 4.5
    assert list(rows[0]) == list(rows[-1])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="file"):
        write_csv(tmp_path / "file" / "runs.csv", "")


def test_figures_have_no_digits_that_only_binary_fractions_have() -> None:
    t = 999_999.123456789  # s, to the nanosecond
    (_, row) = csv_text(["a", "b", "c"], [[0.05 + 0.01, 1e-300, t]]).splitlines()
    assert row == f"0.06,1e-300,{t}"
