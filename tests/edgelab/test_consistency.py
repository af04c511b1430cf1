from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.consistency import Finding, Severity, check
from edgelab.result_table import Parts, ResultTable, TableRow, table_of_runs
from edgelab.statistics import CountErrors
from tests.edgelab.published import published
from tests.recorded import make_record

CANNOT, EXPLAIN = Severity.CANNOT, Severity.EXPLAIN


def found_in(rows: Sequence[TableRow]) -> list[Finding]:
    return check(ResultTable("t", tuple(rows)))


def rules(*rows: TableRow) -> list[tuple[str, Severity]]:
    return [(finding.rule, finding.severity) for finding in found_in(rows)]


def row(precision: str = "fp32", threshold: float | None = None, **figures: float) -> TableRow:
    return TableRow("#1", "m", precision, threshold, figures)


# The published tables, read by hand ---------------------------------------------------------


def test_findings_in_the_detectors_table() -> None:
    found = Counter((f.rule, f.severity) for f in check(published("counting-cv")))
    assert found == {
        ("repeated errors", CANNOT): 6,  # 0.5 and 0.7, of each model and precision
        ("counts apart", CANNOT): 3,  # yolov8n fp16: 20529/11174, 16204/8088, 11990/5317
        ("run time", CANNOT): 7,  # ten parts longer than the whole
        ("run time", EXPLAIN): 7,  # the whole more than 2 % longer than ten parts
        ("bias", EXPLAIN): 11,  # all of mobilenetv3; yolov8n fp32 and int8 at 0.7
        ("slow int8", EXPLAIN): 6,
    }


def test_what_the_detectors_table_says_of_half_precision() -> None:
    first = next(f for f in check(published("counting-cv")) if f.rule == "counts apart")
    assert first.sentence == (
        "yolov8n fp16 0.3 found 20529 where fp32 found 11174, 1.84 times as many: "
        "the conversion is broken"
    )
    assert first.values == {"fp32": 11174, "fp16": 20529}


def test_what_the_detectors_table_says_of_time() -> None:
    sentences = [f.sentence for f in check(published("counting-cv")) if f.rule == "run time"]
    assert sentences[0] == (
        "mobilenetv3 fp32 0.3: 10 sub-datasets of 3.696 min are 36.96 min, "
        "more than the 28.387 min of the whole run"
    )


def test_findings_in_the_vlm_table() -> None:
    found = [(f.rule, f.severity, f.rows) for f in check(published("counting-vlm"))]
    assert found == [
        (
            "squares",
            CANNOT,
            ("counting-vlm smolvlm_256m int8",),
        ),  # 2.012 squared is 4.048, MSE 3.980
        (
            "bias",
            EXPLAIN,
            ("counting-vlm qwen2_vl_2b int8",),
        ),  # (15754 - 13999) / 5000 is 0.351, MAE 0.339
    ]


def test_findings_in_the_charts_table() -> None:
    mean_f1, count = check(published("chart-classification"))
    # 2 x .8829 x .8311 / (.8829 + .8311) is .8562, F1 .8641
    assert (mean_f1.rule, mean_f1.severity) == ("mean F1", CANNOT)
    assert "Model 3 - V2" in mean_f1.rows[0]
    assert count.sentence.startswith("12 rows tell shares without how many images: 0.9682 may be")


# Each rule, and that it can be kept ---------------------------------------------------------


def test_counts_rise_with_the_threshold() -> None:
    assert rules(row(threshold=0.3, pred_count=10), row(threshold=0.5, pred_count=11)) == [
        ("rising counts", CANNOT)
    ]
    assert rules(row(threshold=0.5, pred_count=10), row(threshold=0.3, pred_count=10)) == []


@pytest.mark.parametrize(
    ("precision", "count", "expected"),
    [
        ("fp16", 149, []),
        ("fp16", 150, [("counts apart", CANNOT)]),
        ("fp16", 66, [("counts apart", CANNOT)]),
        ("fp16", 67, []),
        ("int8", 0, [("counts apart", EXPLAIN)]),
    ],
)
def test_a_conversion_counts_otherwise(
    precision: str, count: int, expected: list[tuple[str, Severity]]
) -> None:
    assert rules(row(pred_count=100), row(precision, pred_count=count)) == expected


def test_nothing_is_said_of_models_that_both_count_nothing() -> None:
    assert rules(row(pred_count=0), row("int8", pred_count=0)) == []


def test_slow_int8_is_said_once_a_pass() -> None:
    rows = [row(p, t, latency_p50_ms=ms) for p, ms in (("fp32", 8), ("int8", 9)) for t in (0.3, 5)]
    assert rules(*rows) == [("slow int8", EXPLAIN)]
    assert rules(row(latency_p50_ms=100), row("int8", latency_p50_ms=104)) == []


def test_a_half_precision_file_that_is_not_half_the_size() -> None:
    full = replace(row(model_mb=10.0), model_sha256="a")
    half = replace(row("fp16", model_mb=9.9), model_sha256="b")
    assert rules(full, half) == [("file sizes", EXPLAIN)]
    assert rules(full, replace(half, figures={"model_mb": 5.1})) == []
    assert rules(full, replace(half, model_sha256="a")) == [], "quantised when it is loaded"


def test_a_precision_that_nothing_ran_in() -> None:
    rows = [replace(row("fp16", threshold), executed_share=0.0) for threshold in (0.3, 0.5)]
    assert rules(*rows) == [("executed precision", CANNOT)]
    assert rules(replace(row("int8"), executed_share=0.01)) == []


@pytest.mark.parametrize(
    ("mae", "mse", "possible"), [(2.0, 4.0, True), (2.0, 3.9, False), (0.5, 0.4, False)]
)
def test_squares(mae: float, mse: float, possible: bool) -> None:
    assert (rules(row(mae_mean=mae, mse_mean=mse)) == []) is possible


def test_errors_below_their_own_mean() -> None:
    counted = row(gt_count=100, pred_count=60, mae_mean=0.3)
    exact = replace(counted, parts=Parts(5, 100, even=True))
    assert rules(exact) == [("bias", CANNOT)]
    assert rules(replace(exact, parts=Parts(5, 100, even=False))) == [("bias", EXPLAIN)]
    assert rules(replace(exact, parts=Parts(5, 200, even=True))) == []
    assert rules(counted) == [], "without the number of images nothing can be said"


def test_shares() -> None:
    assert rules(row(accuracy=52.0, images=100)) == [("share", CANNOT)]
    assert rules(row(accuracy=0.52)) == [("share without count", EXPLAIN)]
    assert rules(row(accuracy=0.52, images=100)) == []


def test_other_objects_in_one_table() -> None:
    assert rules(row(gt_count=10), row("fp16", gt_count=11)) == [("true counts", EXPLAIN)]


def test_data_that_changed_between_two_runs() -> None:
    """As where a box was moved before a study went on."""
    facts = {"dataset": "pets, all: 40 images"}
    one, same, other = (
        TableRow(source, "m", "fp32", facts=facts, dataset_sha256=sha256)
        for source, sha256 in (("#1", "a"), ("#2", "a"), ("#3", "b"))
    )
    assert rules(one, same) == []
    (finding,) = found_in([one, same, other])
    assert (finding.rule, finding.severity) == ("other data", EXPLAIN)
    assert finding.sentence.startswith("pets, all: 40 images: not the same in #1, #3: ")
    assert rules(one, replace(other, facts={"dataset": "pets, all: 20 images"})) == []


def test_rows_of_two_runs_are_not_held_against_each_other() -> None:
    other = replace(row("int8", latency_p50_ms=80.0), source="#2")
    assert rules(row(latency_p50_ms=8.0), other) == []


def test_rows_that_differ_in_more_than_one_thing_are_not_held_against_each_other() -> None:
    other = replace(row("fp16", pred_count=90), variant={"prompt": "second"})
    assert rules(replace(row(pred_count=10), variant={"prompt": "first"}), other) == []


# What is right is let through ---------------------------------------------------------------


def test_the_labs_own_figures_are_consistent() -> None:
    assert check(table_of_runs("run", [make_record()])) == []


counts = st.integers(0, 6)
images = st.lists(st.tuples(counts, counts, st.integers(0, 6)), min_size=1, max_size=12)


@given(
    st.lists(images, min_size=1, max_size=4).filter(lambda parts: len(set(map(len, parts))) == 1)
)
def test_no_set_of_counts_is_called_impossible(parts: list[list[tuple[int, int, int]]]) -> None:
    """True, found at the low threshold, and how many of these stay at the high one."""
    rows = []
    for threshold in (0.3, 0.7):
        tallies = [CountErrors() for _ in parts]
        for tally, part in zip(tallies, parts, strict=True):
            for true, found, kept in part:
                tally.add(true, found if threshold == 0.3 else min(found, kept))
        n = len(parts[0])
        rows.append(
            TableRow(
                "#1",
                "m",
                "fp32",
                threshold,
                {
                    "gt_count": sum(tally.truth for tally in tallies),
                    "pred_count": sum(tally.predicted for tally in tallies),
                    "mae_mean": sum(tally.absolute / n for tally in tallies) / len(parts),
                    "mse_mean": sum(tally.squared / n for tally in tallies) / len(parts),
                },
                parts=Parts(len(parts), n * len(parts), even=True),
            )
        )
    assert found_in(rows) == []


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=9
    )
)
def test_no_classifier_is_called_impossible(classes: list[tuple[float, float, float]]) -> None:
    total = sum(weight for _, _, weight in classes)

    def mean(values: list[float]) -> float:
        pairs = zip(values, classes, strict=True)
        return sum(value * weight for value, (_, _, weight) in pairs) / total

    f1 = [2 * p * r / (p + r) if p + r else 0.0 for p, r, _ in classes]
    figures = {
        "macro_precision": mean([p for p, _, _ in classes]),
        "macro_recall": mean([r for _, r, _ in classes]),
        "macro_f1": mean(f1),
    }
    assert (
        found_in([TableRow("#1", "m", figures={k: min(v, 1.0) for k, v in figures.items()})]) == []
    )


def test_a_copied_row_of_an_own_run_is_impossible() -> None:
    """Ten images with one object each, all found at 0.3: no other count has the same errors."""
    figures = {"gt_count": 10.0, "pred_count": 10.0, "mae_mean": 0.0, "mse_mean": 0.0}
    low = replace(row(threshold=0.3, **figures), parts=Parts(1, 10, even=True))
    copied = replace(low, threshold=0.7, figures=figures | {"pred_count": 7.0})
    assert ("repeated errors", CANNOT) in rules(low, copied)
