"""`python -m runners.datasets.draw`, for both generators."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgelab.catalogue import shipped_profiles
from runners.datasets import charts, draw, shapes

GENERATORS = (("shapes", shapes.SPLITS), ("charts", charts.SPLITS))


@pytest.mark.parametrize(("name", "splits"), GENERATORS)
def test_all_splits_are_drawn(
    name: str, splits: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = few_images(name, splits, tmp_path)
    assert draw.main([str(profile), str(tmp_path)]) == 0
    folders = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [folder.name for folder in folders] == list(splits)
    assert [len(list(folder.glob("images/*.png"))) for folder in folders] == [3] * len(splits)


def test_a_missing_profile_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw.main([str(tmp_path / "none.toml"), str(tmp_path)]) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


def few_images(name: str, splits: tuple[str, ...], folder: Path) -> Path:
    """The shipped profile with three images a split."""
    text = (shipped_profiles() / "datasets" / f"{name}.toml").read_text(encoding="utf-8")
    text, changed = re.subn(rf"^({'|'.join(splits)}) = \d+", r"\1 = 3", text, flags=re.MULTILINE)
    assert changed == len(splits)
    path = folder / "few.toml"
    path.write_text(text, encoding="utf-8")
    return path
