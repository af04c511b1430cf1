"""Which class of the data a class of the model is."""

from __future__ import annotations

import pytest

from edgelab.problem import Problem
from runners.classes import ClassMap, map_classes


def test_classes_are_matched_by_name_not_by_place() -> None:
    names, found = map_classes(("cat", "dog"), 2, ("Dog", "cat "), has_truth=True)
    assert names == ("cat", "dog")
    assert found == ClassMap(("Dog", "cat "), (1, 0))


def test_a_class_that_nobody_annotated_is_not_counted() -> None:
    _, found = map_classes(("cat", "dog", "cow"), 3, ("dog",), has_truth=True)
    assert found.to_counted == (None, 0, None)


def test_a_class_that_the_model_does_not_know_stays_and_is_named() -> None:
    _, found = map_classes(("cat",), 1, ("dog", "cat"), has_truth=True)
    assert found == ClassMap(("dog", "cat"), (1,), unknown=("dog",))


def test_nothing_in_common_is_a_problem() -> None:
    with pytest.raises(Problem, match=r"no class in common: the model knows 'cat'; .* has 'dog'"):
        map_classes(("cat",), 1, ("dog",), has_truth=True)


def test_without_truth_the_model_s_classes_are_counted() -> None:
    names, found = map_classes(("cat", "dog"), 2, (), has_truth=False)
    assert names == found.counted == ("cat", "dog")
    assert found.to_counted == (0, 1)


def test_names_come_from_the_data_when_the_file_has_none() -> None:
    names, found = map_classes(None, 2, ("cat", "dog"), has_truth=True)
    assert names == ("cat", "dog")
    assert found.to_counted == (0, 1)


def test_without_names_the_number_of_classes_must_agree() -> None:
    with pytest.raises(Problem, match="names no classes and has 3 of them, but the dataset has 2"):
        map_classes(None, 3, ("cat", "dog"), has_truth=True)


def test_without_names_and_truth_classes_are_numbered() -> None:
    names, _ = map_classes(None, 3, (), has_truth=False)
    assert names == ("class 0", "class 1", "class 2")
