from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.problem import Problem
from edgelab.telemetry.governor import give_back, hold
from tests.boards import CPU, ORANGE_PI_5, build


def governors(root: Path) -> list[str]:
    return [p.read_text().strip() for p in sorted(root.glob(f"{CPU}/policy*/scaling_governor"))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = build(tmp_path / "root", ORANGE_PI_5)
    (root / f"{CPU}/policy0/scaling_governor").write_text("ondemand\n")
    return root


def test_the_governor_is_held_and_given_back_policy_by_policy(root: Path, tmp_path: Path) -> None:
    before = governors(root)
    hold("performance", tmp_path / "former", "boot", root)
    assert governors(root) == ["performance"] * 3
    give_back(tmp_path / "former", "boot")
    assert governors(root) == before
    assert not (tmp_path / "former").exists()
    give_back(tmp_path / "former", "boot")


def test_after_a_reboot_nothing_is_touched(root: Path, tmp_path: Path) -> None:
    hold("performance", tmp_path / "former", "boot", root)
    give_back(tmp_path / "former", "another boot")
    assert governors(root) == ["performance"] * 3


def test_what_was_changed_before_a_refusal_is_given_back(root: Path, tmp_path: Path) -> None:
    refusing = root / f"{CPU}/policy6/scaling_governor"
    refusing.unlink()
    refusing.mkdir()
    with pytest.raises(Problem, match="run as root"):
        hold("performance", tmp_path / "former", "boot", root)
    assert (root / f"{CPU}/policy0/scaling_governor").read_text().strip() == "ondemand"


def test_a_kernel_without_policies_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no cpufreq policy"):
        hold("performance", tmp_path / "former", "boot", tmp_path)


def test_a_torn_memory_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "former").write_text("{")
    give_back(tmp_path / "former", "boot")
    assert not (tmp_path / "former").exists()
