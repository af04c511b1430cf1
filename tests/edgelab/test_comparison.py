from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from edgelab import markdown
from edgelab.comparison import compare
from edgelab.comparison_report import (
    comparison_csv,
    comparison_document,
    comparison_markdown,
)
from edgelab.result_table import Pairing, ResultTable, TableRow, table_of_runs
from edgelab.words import plain
from tests.edgelab.published import published
from tests.recorded import make_record

GITHUB = MarkdownIt("gfm-like", {"html": True}).disable("linkify")


def rows(*keys: tuple[str, str | None, float | None], source: str = "#1") -> tuple[TableRow, ...]:
    return tuple(TableRow(source, *key, {"pred_count": 10.0 + i}) for i, key in enumerate(keys))


def pairs(left: ResultTable, right: ResultTable) -> list[tuple[str | None, str | None]]:
    return [
        (row.left and row.left.name, row.right and row.right.name)
        for row in compare(left, right).rows
    ]


def test_rows_belong_together_by_model_precision_and_threshold() -> None:
    left = ResultTable("a", rows(("m", "fp32", 0.3), ("m", "int8", 0.3), ("n", "fp32", 0.3)))
    right = ResultTable("b", rows(("m", "fp32", 0.5), ("m", "int8", 0.3), ("k", "fp32", 0.3)))
    assert pairs(left, right) == [
        ("m fp32 0.3", None),
        ("m int8 0.3", "m int8 0.3"),
        ("n fp32 0.3", None),
        (None, "m fp32 0.5"),
        (None, "k fp32 0.3"),
    ]


def test_own_models_stand_in_for_published_ones_and_it_is_said() -> None:
    left = ResultTable("a", rows(("yolov8n-shapes", "fp32", 0.3), ("yolo11s", "fp32", 0.3)))
    comparison = compare(left, published("counting-cv"))
    first = comparison.rows[0]
    assert first.right is not None
    assert first.right.name == "yolov8n fp32 0.3"
    assert first.ratio("pred_count") == 10 / 11174
    assert comparison.rows[1].right is None, "nobody said what a yolo11s stands in for"
    assert [pairing.words for pairing in comparison.pairings] == [
        "stand-in: yolov8n-shapes for yolov8n (half as wide, trained on shapes, 192 px)"
    ]


def test_the_table_may_stand_on_either_side() -> None:
    own = ResultTable("a", rows(("yolov8n-shapes", "fp32", 0.3)))
    comparison = compare(published("counting-cv"), own)
    matched = [row for row in comparison.rows if row.left and row.right]
    assert [row.left.name for row in matched if row.left] == ["yolov8n fp32 0.3"]
    assert "yolov8n-shapes for yolov8n" in comparison.pairings[0].words


def test_two_single_models_are_laid_side_by_side() -> None:
    left = ResultTable("a", rows(("detector", "fp32", 0.3), ("detector", "fp32", 0.7)))
    right = ResultTable("b", rows(("vlm", "fp32", None)))
    assert pairs(left, right) == [
        ("detector fp32 0.3", "vlm fp32"),
        ("detector fp32 0.7", "vlm fp32"),
    ], "one without thresholds stands beside every threshold"
    assert "another model" in compare(left, right).pairings[0].words


def test_the_same_model_goes_before_a_stand_in() -> None:
    pairings = (Pairing("m", "other", same=False), Pairing("m", "alias", same=True))
    right = ResultTable("b", rows(("other", None, None), ("alias", None, None)), pairings)
    left = ResultTable("a", rows(("m", None, None), ("n", None, None)))
    assert pairs(left, right)[0] == ("m", "alias")


def test_of_equal_rows_the_one_with_more_facts_in_common() -> None:
    one, two = rows(("m", "fp32", 0.3), ("m", "fp32", 0.3))
    right = ResultTable("b", (replace(one, facts={"threads": "1"}), two))
    left = ResultTable("a", (replace(one, facts={"threads": "4"}),))
    fitting = replace(two, facts={"threads": "4"})
    right = replace(right, rows=(right.rows[0], fitting))
    assert compare(left, right).rows[0].right is fitting


def test_variants_must_agree() -> None:
    asked = [replace(r, variant={"prompt": p}) for p in ("one", "two") for r in rows(("m",) * 3)]  # type: ignore[arg-type]
    left, right = ResultTable("a", tuple(asked[:1])), ResultTable("b", tuple(asked[1:]))
    assert compare(left, right).rows[0].right is None


def test_what_differs_is_told_and_what_is_unknown_said_to_be() -> None:
    comparison = compare(table_of_runs("run", [make_record()]), published("counting-cv"))
    told = {each.name: (each.left, each.right) for each in comparison.differences}
    assert told["threads"] == ("2", "not stated")
    assert told["resolution"] == ("192 x 192 px", "not stated")
    assert told["dataset"][1] == "COCO, 10 classes, a sub-dataset a class: about 5000 images"
    same = compare(table_of_runs("a", [make_record()]), table_of_runs("b", [make_record()]))
    assert same.differences == ()


def test_no_ratio_of_an_unknown() -> None:
    one, other = rows(("m", None, None), ("m", None, None))
    nothing = replace(other, figures={"pred_count": 0.0})
    for partner in (replace(other, figures={}), nothing):
        row = compare(ResultTable("a", (one,)), ResultTable("b", (partner,))).rows[0]
        assert row.ratio("pred_count") is None


def test_csv_has_both_sides_and_the_ratio() -> None:
    comparison = compare(published("counting-cv"), published("counting-cv"))
    lines = list(csv.DictReader(io.StringIO(comparison_csv(comparison), newline="")))
    assert len(lines) == 18
    assert lines[0]["pred_count_a"] == "5874.0"
    assert {line["pred_count_ratio"] for line in lines} == {"1.0"}


def test_json_holds_findings_and_differences() -> None:
    comparison = compare(table_of_runs("run", [make_record()]), published("counting-cv"))
    document = json.loads(json.dumps(comparison_document(comparison)))
    assert len(document["findings"]["b"]) == 40
    assert {"fact": "threads", "a": "2", "b": "not stated"} in document["differences"]


# Markdown that nobody can break out of ------------------------------------------------------

HOSTILE = [
    "a|b",
    "`rm -rf`",
    "<script>alert(1)</script>",
    "[x](http://evil)",
    "![x](y)",
    "\x1b[31mred\x1b[0m",
    "line\nbreak | | |",
    "**bold** _it_ ~~no~~",
    "# head",
    "1. list",
    "- list",
    "\\|",
    "&amp; &#124;",
    "https://evil.example @someone",
    "‮evil",
]


def text_of(document: str) -> list[str]:
    """The text of each cell, paragraph or list entry, as a reader prints it."""
    found = []
    for token in GITHUB.parse(document):
        assert token.type not in ("html_block", "fence", "code_block"), token.content
        for child in token.children or ():
            assert child.type in ("text", "text_special", "softbreak"), child
        if token.type == "inline":
            found.append("".join(child.content for child in token.children or ()))
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    table = markdown.table(["t", "u"], [[text, "1"], ["2", text]], [False, True])
    assert text_of(table) == ["t", "u", plain(text).strip(), "1", "2", plain(text).strip()]
    assert text_of(markdown.bullets([f"see {text}", text]))[0] == f"see {plain(text).strip()}"


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_stays_text(one: str, other: str) -> None:
    table = markdown.table(["t", "u"], [[one, other]], [False, False])
    lines = table.split("\n")
    assert len(lines) == 3
    assert "\x1b" not in table
    cells = text_of(table)
    assert len(cells) == 4
    wanted = [" ".join(plain(text).split()) for text in (one, other)]
    assert [" ".join(cell.split()) for cell in cells[2:]] == wanted


@given(st.text(min_size=1, max_size=40))
def test_any_line_stays_one_list_entry(line: str) -> None:
    tokens = GITHUB.parse(markdown.bullets([line]))
    assert [t.type for t in tokens if t.type.endswith("_open")] in (
        ["bullet_list_open", "list_item_open", "paragraph_open"],
        ["bullet_list_open", "list_item_open"],  # nothing was left of it
    )


def test_a_hostile_model_name_breaks_no_page() -> None:
    name = "x | y\n\n# evil \x1b[2J `"
    left = ResultTable(name, rows((name, "fp32", 0.3)))
    page = comparison_markdown(compare(left, published("counting-cv")))
    assert "\x1b" not in page
    assert not any(line.startswith("# evil") for line in page.splitlines())
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 19
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
