"""Names that bite: terminal escapes, Rich markup, formulas, path traversal, endless lines."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import CommandLine
from tests.runners.colour_detector import build_detector, some_cells, write_cells

ESCAPE = "\x1b]0;evil\x07\x1b[31m"
HOSTILE = [
    f"{ESCAPE}red",
    "[bold red]markup[/bold red] [/] [link=file:///etc/passwd]x[/link]",
    "=cmd|' /C calc'!A0",
    "x" * 10_000,
    "two\nlines\rover",
    "\u202eright to left",
]


@pytest.mark.parametrize(
    "name", HOSTILE, ids=["escape", "markup", "formula", "long", "lines", "bidi"]
)
def test_hostile_class_names_are_shown_and_exported_harmlessly(
    edgelab: CommandLine, tmp_path: Path, name: str
) -> None:
    model = build_detector(tmp_path / "m.onnx", names=(name, "green", "blue"))
    write_cells(tmp_path / "images" / "a.png", some_cells(3, 5))
    categories = [{"id": 0, "name": name}, {"id": 1, "name": "green"}, {"id": 2, "name": "blue"}]
    annotations = tmp_path / "a.json"
    annotations.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png"}],
                "annotations": [{"image_id": 1, "category_id": 0}],
                "categories": categories,
            }
        )
    )
    out = edgelab(
        "run", "detect", "--model", str(model), "--dataset", str(annotations), "--images",
        str(tmp_path / "images"), "--threads", "1",
    )  # fmt: skip
    harmless(out)
    harmless(edgelab("show", "last"))


def test_hostile_file_names_are_items_and_cells(edgelab: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    names = [f"{ESCAPE}.png", "[red]x[/red].png", "=1+1.png", "-2.png", "@x.png", "a\nb.png"]
    for name in names:
        write_cells(folder / name, some_cells(1, 2))
    (folder / "broken.png").write_bytes(b"no image")
    model = build_detector(tmp_path / "=model.onnx")
    out = edgelab(
        "run", "detect", "--model", str(model), "--dataset", str(folder), "--threads", "1"
    )
    harmless(out)
    assert "finished" in out
    items = edgelab("export", "last", "--csv", "-", "--items")
    rows = list(csv.DictReader(io.StringIO(items, newline="")))
    for row in rows:
        assert not row["image"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert {row["image"].removeprefix("'") for row in rows} == {*names, "broken.png"}
    assert next(row["error"] for row in rows if row["image"] == "broken.png")
    table = edgelab("export", "last", "--csv", "-")
    assert next(csv.DictReader(io.StringIO(table)))["model"] == "'=model"


def test_a_path_out_of_the_image_folder_is_an_item_error(
    edgelab: CommandLine, tmp_path: Path
) -> None:
    write_cells(tmp_path / "secret.png", some_cells(1, 2))
    write_cells(tmp_path / "images" / "a.png", some_cells(1, 2))
    names = ["a.png", "../secret.png", str(tmp_path / "secret.png")]
    annotations = tmp_path / "a.json"
    annotations.write_text(
        json.dumps(
            {
                "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
                "annotations": [],
                "categories": [{"id": 0, "name": "red"}],
            }
        )
    )
    result = edgelab.json(
        "run", "detect", "--model", str(build_detector(tmp_path / "m.onnx")), "--dataset",
        str(annotations), "--images", str(tmp_path / "images"), "--threads", "1",
    )  # fmt: skip
    assert result["rows"][0]["images"] == 1
    assert result["rows"][0]["errors"] == 2


def harmless(text: str) -> None:
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 5_000
