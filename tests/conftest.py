"""What all tests share: a lab in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from edgelab.home import Home
from edgelab.lab import Lab

# A build must not fail by the draw: it tries the same examples each time; at a desk they are new.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty lab that is also the default one of child processes."""
    monkeypatch.setenv("EDGELAB_HOME", str(tmp_path / "home"))
    return Home.default()


@pytest.fixture
def lab(home: Home) -> Lab:
    return Lab(home)
