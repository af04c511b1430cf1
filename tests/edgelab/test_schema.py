from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.catalogue import Catalogue, ModelProfile
from edgelab.home import Home
from edgelab.schema import SchemaProblem, convert, read_json, read_toml
from edgelab.settings.detect import DetectSettings
from edgelab.spec import RunSpec

GOOD = {"task": "detect", "model": "m", "dataset": "d"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threads": "four"}, ["threads", "'four'", "int"]),
        ({"threads": 0}, ["threads", "0", ">= 1"]),
        ({"precisions": ["fp8"]}, ["precisions[0]", "'fp8'"]),
        ({"thresholds": [0.3, 1.5]}, ["thresholds[1]", "1.5"]),
        ({"thresholds": [0.01]}, ["0.01", "keep_score"]),
        ({"thresholds": [0.5, 0.5]}, ["differ"]),
        ({"modle": "x"}, ["modle"]),
    ],
)
def test_errors_name_source_key_value_and_remedy(
    change: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(SchemaProblem) as caught:
        convert({**GOOD, **change}, DetectSettings, "spec.json")
    for word in ("spec.json", *words):
        assert word in str(caught.value)


def test_files_that_are_no_json_or_toml_are_named(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    with pytest.raises(SchemaProblem, match="broken: cannot be read"):
        read_json(path, RunSpec)
    path.write_bytes(b"\xff{")
    with pytest.raises(SchemaProblem, match="broken: not valid JSON"):
        read_json(path, RunSpec)
    with pytest.raises(SchemaProblem, match="broken: not valid TOML"):
        read_toml(path, ModelProfile)


def test_a_broken_profile_is_listed_and_stops_nobody(home: Home) -> None:
    folder = home.profiles / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text('schema_version = 1\ntitle = ""\n')
    entries = {entry.name: entry for entry in Catalogue(home).models()}
    assert entries["mine"].profile is None
    assert "model.toml" in (entries["mine"].problem or "")
    with pytest.raises(Exception, match=r"model\.toml"):
        entries["mine"].require()


def test_a_users_profile_hides_the_shipped_one_of_its_name(home: Home) -> None:
    folder = home.profiles / "datasets"
    folder.mkdir(parents=True)
    (folder / "shapes.toml").write_text(
        'kind = "local"\nschema_version = 1\ntitle = "Mine"\npath = "/data"\n'
    )
    entry = Catalogue(home).dataset("shapes")
    assert entry is not None
    assert entry.require().title == "Mine"
