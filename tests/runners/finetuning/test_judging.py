"""What an answer is worth: classes, relaxed accuracy, and the figures made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.catalogue import shipped_profiles
from edgelab.schema import SchemaProblem, read_toml
from runners.datasets.chart_facts import CHART_TYPES
from runners.finetuning.labels import Labels, NoLabel
from runners.finetuning.prompts import Prompts
from runners.finetuning.relaxed import match

CHARTS = read_toml(shipped_profiles() / "prompts" / "chart-classification.toml", Prompts)


def charts() -> Labels:
    return Labels(CHART_TYPES, CHARTS.aliases)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("bar", "bar"),
        ("Bar chart.", "bar"),
        ("This is a horizontal bar chart", "horizontal bar"),
        ("a GROUPED_BAR plot", "grouped bar"),
        ("doughnut chart", "donut"),
        ("The chart is a scatterplot.", "scatter"),
        ("multi line graph", "multi-line"),
        ("box-and-whisker plot", "box"),
        ("bar or pie", NoLabel.OFF_LIST),
        ("a photo of a dog", NoLabel.OFF_LIST),
        ("[bold]sunburst[/]", NoLabel.OFF_LIST),
        ("barrel", NoLabel.OFF_LIST),
        ("unanswerable", NoLabel.UNANSWERED),
        ("I don't know", NoLabel.UNANSWERED),
        ("", NoLabel.UNANSWERED),
        ("\x1b[2J", NoLabel.OFF_LIST),
    ],
)
def test_an_answer_names_a_class_or_none(answer: str, label: str | NoLabel) -> None:
    found = charts().find(answer)
    assert (found if isinstance(found, NoLabel) else CHART_TYPES[found]) == label


@given(st.sampled_from(CHART_TYPES), st.sampled_from(["{}", "{} chart", "It is a {}.", "\n{}!"]))
def test_each_class_is_found_by_its_name(label: str, sentence: str) -> None:
    assert charts().find(sentence.format(label.upper())) == CHART_TYPES.index(label)


@given(st.text(max_size=60))
def test_any_answer_is_judged(answer: str) -> None:
    found = charts().find(answer)
    assert isinstance(found, NoLabel) or 0 <= found < len(CHART_TYPES)


def test_classes_that_sound_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be told apart"):
        Labels(("bar chart", "Bar"))


@pytest.mark.parametrize(
    ("answer", "truth", "exact", "relaxed", "contains"),
    [
        ("12", "12", True, True, True),
        ("12.0", "12", True, True, True),
        ("1,200", "1200", True, True, True),
        ("95.1", "100", False, True, True),
        ("94.9", "100", False, False, False),
        ("-5", "5", False, False, False),
        (".5", "5", False, False, False),
        ("0", "0", True, True, True),
        ("0.01", "0", False, False, False),
        ("35 %", "35", True, True, True),
        ("The North.", "north", True, True, True),
        ("it is north, I think", "north", False, False, True),
        ("northern", "north", False, False, False),
        ("there are 12 bars", "12", False, False, True),
        ("there are 112 bars", "12", False, False, False),
        ("", "north", False, False, False),
        ("nan", "12", False, False, False),
        ("1e999", "12", False, False, False),
    ],
)
def test_relaxed_accuracy(
    answer: str, truth: str, exact: bool, relaxed: bool, contains: bool
) -> None:
    found = match(answer, truth)
    assert (found.exact, found.relaxed, found.contains) == (exact, relaxed, contains)


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_senses_of_right_include_each_other(answer: str, truth: str) -> None:
    found = match(answer, truth)
    assert found.exact <= found.relaxed <= found.contains


@pytest.mark.parametrize(
    ("learns", "text", "words"),
    [("class", "{question}?", "{question}"), ("answer", "what?", "does not hold")],
)
def test_a_prompt_with_a_wrong_placeholder_is_named(
    tmp_path: object, learns: str, text: str, words: str
) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "p.toml"
    file.write_text(
        f'schema_version = 1\ntitle = "t"\nlearns = "{learns}"\n[prompts]\nfirst = "{text}"\n'
    )
    with pytest.raises(SchemaProblem, match=words):
        read_toml(file, Prompts)


def test_shipped_prompts_are_whole() -> None:
    files = sorted((shipped_profiles() / "prompts").glob("*.toml"))
    profiles = {file.stem: read_toml(file, Prompts) for file in files}
    assert profiles.keys() >= {"chart-classification", "chart-questions", "counting"}
    assert len(CHARTS.prompts) == 4
    assert all(
        "second" in profiles[f"chart-{name}"].prompts for name in ("classification", "questions")
    )
    counting = profiles["counting"]
    assert counting.translations["pt"].keys() == counting.prompts.keys()
    assert set(CHARTS.aliases) <= set(CHART_TYPES)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=40),
)
def test_macro_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    from runners.finetuning.scores import macro_scores

    truth, said = [true for true, _ in pairs], [answer for _, answer in pairs]
    matrix = metrics.confusion_matrix(truth, said, labels=range(5))[:4]
    labels = sorted(set(truth) | (set(said) - {4}))
    expected = metrics.precision_recall_fscore_support(
        truth, said, labels=labels, average="macro", zero_division=0
    )[:3]
    accuracy = metrics.accuracy_score(truth, said)
    assert macro_scores(matrix) == pytest.approx((accuracy, *expected))
