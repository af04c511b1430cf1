"""Models under names of one's own: what becomes a profile, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.catalogue import Catalogue, checkpoint_of
from edgelab.home import Home
from edgelab.model_editing import add_model, new_model
from edgelab.problem import Problem


def test_a_folder_and_a_hubs_model_get_names(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(Problem, match=r"no checkpoint: neither model\.safetensors nor"):
        new_model(home, "mine", str(folder))
    (folder / "model.safetensors").touch()
    for name, given in (("mine", str(folder)), ("theirs", "owner/name")):
        add_model(home, new_model(home, name, given))
        entry = Catalogue(home).hub_model(name)
        assert entry is not None
        assert checkpoint_of(entry) == given


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("My model", "owner/name", "small letters"),
        ("smolvlm-256m", "owner/name", "the name is taken"),
        ("yolov8n", "owner/name", "the name is taken"),
        ("mine", "", "name a checkpoint's folder"),
        ("mine", "smolvlm-256m", "is a name already"),
        ("mine", "nowhere", "neither a name"),
        ("mine", ".", "no config.json"),
    ],
)
def test_what_is_refused(home: Home, name: str, given: str, why: str) -> None:
    with pytest.raises(Problem, match=why):
        new_model(home, name, given)
