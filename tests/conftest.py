"""What all tests share: a lab in a folder of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from edgelab.home import Home
from edgelab.lab import Lab

# A build must not fail by the draw: it tries the same examples each time; at a desk they are new.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# Started in the background or by nohup, a process hands on that these are ignored; tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty lab that is also the default one of child processes."""
    monkeypatch.setenv("EDGELAB_HOME", str(tmp_path / "home"))
    return Home.default()


@pytest.fixture
def lab(home: Home) -> Lab:
    return Lab(home)
