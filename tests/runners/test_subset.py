"""Sub-datasets a class: which images, for which classes, and the same again by seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.detect import DetectSettings
from runners.datasets.dataset import Box, Dataset, Sample
from runners.datasets.source import open_source
from runners.datasets.subset import of_classes, per_class
from tests.runners.test_datasets import coco_file

CLASSES = ("cat", "dog", "cow")

truths = st.lists(st.dictionaries(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=20)


def data(truths: list[dict[int, int]]) -> Dataset:
    samples = (
        Sample(f"{index}.png", Path(f"/{index}.png"), truth) for index, truth in enumerate(truths)
    )
    return Dataset("d", "all", CLASSES, tuple(samples))


@given(truths.filter(any), st.integers(1, 5), st.integers(0, 3))
def test_a_sub_dataset_holds_up_to_so_many_images_that_hold_its_class(
    drawn: list[dict[int, int]], most: int, seed: int
) -> None:
    whole = data(drawn)
    found = per_class(whole, most, seed)
    assert found == per_class(whole, most, seed)
    names = [sample.name for sample in found.samples]
    assert names == sorted(set(names), key=lambda name: int(name[:-4]))
    for index in range(len(CLASSES)):
        own = [s for s in found.samples if s.evaluated is not None and index in s.evaluated]
        assert all(sample.truth and sample.truth[index] for sample in own)
        assert len(own) == min(most, sum(index in truth for truth in drawn))
    assert all(sample.evaluated for sample in found.samples)


@given(truths.filter(lambda t: any(0 in each for each in t)), st.integers(1, 5))
def test_the_images_of_a_class_do_not_depend_on_the_other_classes(
    drawn: list[dict[int, int]], most: int
) -> None:
    among_all, alone = per_class(data(drawn), most, 0), of_classes(data(drawn), ("cat",))
    own = [s.name for s in among_all.samples if s.evaluated is not None and 0 in s.evaluated]
    assert own == [sample.name for sample in per_class(alone, most, 0).samples]


def test_classes_keep_the_order_asked_for_and_take_their_boxes_along() -> None:
    boxes = (Box(0, 1, 1, 2, 2), Box(2, 3, 3, 4, 4))
    whole = Dataset("d", "all", CLASSES, (Sample("a", None, {0: 1, 2: 1}, boxes=boxes),))
    (sample,) = of_classes(whole, ("COW", "dog")).samples
    assert sample.truth == {0: 1}
    assert sample.boxes == (Box(0, 3, 3, 4, 4),)


def test_a_class_on_no_image_is_told_and_the_others_go_on() -> None:
    found = per_class(data([{0: 1}, {1: 2}]), 5, 0)
    assert found.warnings == ("no image holds a cow: its sub-dataset is empty",)
    with pytest.raises(Problem, match="no image holds any of: cow"):
        per_class(of_classes(data([{0: 1}]), ("cow",)), 5, 0)


def test_what_cannot_be_chosen() -> None:
    with pytest.raises(Problem, match="classes: horse: not among its classes: cat, dog, cow"):
        of_classes(data([{0: 1}]), ("cat", "horse"))
    bare = Dataset("d", "all", (), (Sample("a.png", None),))
    with pytest.raises(Problem, match="no annotations"):
        of_classes(bare, ("cat",))
    with pytest.raises(Problem, match="no annotations"):
        per_class(bare, 1, 0)


def test_a_profile_chooses_and_a_run_chooses_over_it(home: Home, tmp_path: Path) -> None:
    file = coco_file(tmp_path)
    profiles = home.profiles / "datasets"
    profiles.mkdir(parents=True)
    (profiles / "pets.toml").write_text(
        f'schema_version = 1\nkind = "local"\ntitle = "t"\npath = "{file}"\n'
        'classes = ["dog", "cat"]\nper_class = 1\n'
    )

    def evaluated(**settings: object) -> Dataset:
        chosen = DetectSettings(model="m", dataset="pets", **settings)  # type: ignore[arg-type]
        source = open_source(chosen, Catalogue(home), home, lambda *_: None)
        return source.evaluation(chosen)

    by_profile = evaluated()
    assert by_profile.classes == ("dog", "cat")
    assert [(s.name, s.evaluated) for s in by_profile.samples] == [("a.jpg", (0,))]
    assert evaluated(classes=("dog",)).classes == ("dog",)


def test_coco10_says_where_coco_belongs(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = DetectSettings(model="m", dataset="coco10")
    with pytest.raises(Problem) as problem:
        open_source(settings, Catalogue(home), home, lambda *_: None)
    assert str(problem.value).startswith(f"coco10: {tmp_path}/coco/annotations/instances_val2017")
    assert "cocodataset.org" in str(problem.value)
