"""What all tests share: a lab in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.home import Home
from edgelab.lab import Lab


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty lab that is also the default one of child processes."""
    monkeypatch.setenv("EDGELAB_HOME", str(tmp_path / "home"))
    return Home.default()


@pytest.fixture
def lab(home: Home) -> Lab:
    return Lab(home)
