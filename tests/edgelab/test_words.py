from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab import words

HOSTILE = [
    "\x1b]0;evil\x07title",
    "\x1b[2J\x1b[31mred",
    "a\nb\rc\td",
    "\u202egnp.exe",
    "\x9b31m",
    "zero\u200bwidth",
    "nul\0",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = words.plain(text)
    assert all(unicodedata.category(c)[0] != "C" for c in shown)
    assert "\x1b" not in shown
    assert "\n" not in shown


@given(st.text(max_size=2000), st.integers(10, 300))
def test_any_text_becomes_one_short_printable_line(text: str, limit: int) -> None:
    shown = words.plain(text, limit)
    assert len(shown) <= limit
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in shown)


def test_long_text_keeps_both_ends() -> None:
    shown = words.plain("start" + "x" * 10_000 + "end")
    assert shown.startswith("start")
    assert shown.endswith("end")
    assert "…" in shown


def test_ordinary_text_is_left_alone() -> None:
    for text in ("images/año 1.png", "[red]x[/red]", "=cmd()", "日本語"):
        assert words.plain(text) == text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0.44, "0.4 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (7620, "2 h 07 min")],
)  # fmt: skip
def test_durations(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.531, "0.53"), (4.806, "4.81"), (23.41, "23.4"), (1240.2, "1240")],
)
def test_milliseconds(value: float | None, shown: str) -> None:
    assert words.milliseconds(value) == shown


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/m/yolov8n.onnx", "yolov8n"),
        ("mobilevlm-v2-1.7b", "mobilevlm-v2-1.7b"),
        ("Qwen/Qwen2-VL-2B-Instruct", "Qwen2-VL-2B-Instruct"),
    ],
)
def test_a_short_name_keeps_the_dot_of_a_version(path: str, name: str) -> None:
    assert words.short_name(path) == name
