from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from screens.actions import ACTIONS, Place, at, page
from screens.app import Console
from screens.compare import CompareScreen
from screens.dataset import DatasetScreen
from screens.datasets import DatasetsScreen
from screens.lab import LabScreen
from screens.power import PowerScreen
from screens.run import RunScreen
from screens.runs import RunsScreen
from screens.studies import StudiesScreen
from screens.study import StudyScreen
from screens.widgets.settings_table import SettingsTable
from screens.widgets.table import Table

WORKS_IN = {
    Place.EVERYWHERE: Console,
    Place.LAB: LabScreen,
    Place.RUNS: RunsScreen,
    Place.RUN: RunScreen,
    Place.STUDIES: StudiesScreen,
    Place.STUDY: StudyScreen,
    Place.COMPARE: CompareScreen,
    Place.DATASETS: DatasetsScreen,
    Place.DATASET: DatasetScreen,
    Place.POWER: PowerScreen,
    Place.TABLE: Table,
    Place.SETTINGS: SettingsTable,
}
TEXTUALS_OWN = {"next_pane"}


def test_the_page_of_keys_is_current() -> None:
    text = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
    assert text == page(), "run: python -m screens.actions > docs/keys.md"


@pytest.mark.parametrize("action", [a for a in ACTIONS if a.id not in TEXTUALS_OWN], ids=str)
def test_every_action_is_there(action) -> None:  # type: ignore[no-untyped-def]
    name = action.id.partition("(")[0]
    assert callable(getattr(WORKS_IN[action.place], f"action_{name}"))


def test_no_key_means_two_things_in_one_place() -> None:
    for place in Place:
        keys = Counter(key for action in at(place) for key in action.key.split(","))
        assert max(keys.values()) == 1, keys.most_common(1)


def test_no_key_of_a_screen_hides_one_that_works_everywhere() -> None:
    everywhere = {key for action in at(Place.EVERYWHERE) for key in action.key.split(",")}
    for place in Place:
        if place is not Place.EVERYWHERE:
            assert not everywhere & {key for a in at(place) for key in a.key.split(",")}


def test_same_key_same_word() -> None:
    """Where two screens share a key, it does the same kind of thing."""
    footer: dict[str, set[str]] = {}
    for action in ACTIONS:
        if action.footer:
            footer.setdefault(action.key, set()).add(action.title)
    assert {key: names for key, names in footer.items() if len(names) > 1} == {
        "space": {"mark", "play"},
        "plus,equals_sign": {"speed", "add"},
        "m": {"studies", "measure"},
        "c": {"compare", "change", "check"},
    }
