"""Answers as models give them, read as a person reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.answers import Number, Parsed, Refusal, Unparsed, parse_count
from edgelab.quantities import LARGEST

JUDGED = Path(__file__).parent / "answers" / "answers.tsv"


def judged() -> list[tuple[str, str, str, str]]:
    """Asked (forms, by `|`), language, what a person reads, the answer."""
    rows = [line.split("\t") for line in JUDGED.read_text(encoding="utf-8").split("\n")[1:] if line]
    return [
        (asked, language, expected, json.loads(answer))
        for asked, language, expected, answer in rows
    ]


def word(parsed: Parsed) -> str:
    match parsed:
        case Number(value):
            return str(value)
        case Refusal():
            return "refusal"
        case Unparsed():
            return "unparsed"


def test_there_are_at_least_300_judged_answers() -> None:
    rows = judged()
    assert len({(asked, answer) for asked, _, _, answer in rows}) >= 300


def test_every_judged_answer_is_read_as_a_person_reads_it() -> None:
    wrong = []
    for asked, language, expected, answer in judged():
        found = parse_count(answer, asked.split("|"), "pt" if language == "pt" else "en")
        if word(found) != expected:
            wrong.append((answer[:80], expected, found))
    assert wrong == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("2.5", "2.5 is not a whole number"),
        ("-3", "-3 is negative"),
        ("3 cats, 5 birds", "several numbers: 3, 5"),
        ("several", "no number, only 'several'"),
        ("9" * 40, "a number too large to be a count"),
        ("fewer than 5", "5 is an upper bound"),
        ("the dog sleeps", "no number in it"),
    ],
)
def test_what_cannot_be_read_has_its_reason(answer: str, reason: str) -> None:
    assert parse_count(answer, ("dog", "dogs")) == Unparsed(reason)


@given(st.text(max_size=300), st.sampled_from(["en", "pt"]))
def test_any_text_gives_one_of_three_things(text: str, language: str) -> None:
    found = parse_count(text, ("dog", "dogs"), "pt" if language == "pt" else "en")
    assert isinstance(found, Number | Refusal | Unparsed)
    if isinstance(found, Number):
        assert 0 <= found.value <= LARGEST


@given(st.integers(0, LARGEST), st.sampled_from(["{}", "{}.", "There are {} dogs.", "dogs: {}"]))
def test_a_number_comes_through_its_sentence(value: int, sentence: str) -> None:
    assert parse_count(sentence.format(value), ("dog", "dogs")) == Number(value)


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_thing_asked_about_decides(dogs: int, cats: int) -> None:
    for sentence in (
        "{} dogs and {} cats",
        "dogs: {}, cats: {}",
        "There are {} dogs. And {} cats.",
    ):
        assert parse_count(sentence.format(dogs, cats), ("dog", "dogs")) == Number(dogs)


@given(st.integers(0, 99_999))
def test_digits_of_other_scripts_are_the_same_number(value: int) -> None:
    arabic = "".join(chr(0x660 + int(digit)) for digit in str(value))
    assert parse_count(arabic) == Number(value)


def test_a_long_answer_is_read_in_no_time() -> None:
    assert isinstance(parse_count("no one of the dogs or maybe 3 - 4 " * 50_000), Parsed)
