"""Boards are recognised by what the kernel says of them, and shipped profiles hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.boards import BoardProfile, compatible, recognise
from edgelab.catalogue import Catalogue, Entry
from edgelab.home import Home
from edgelab.schema import SchemaProblem, convert

# From the kernels' device trees: the `compatible` property of the root node.
TREES = {
    "orange-pi-3b": [
        ("rockchip,rk3566-orangepi-3b", "rockchip,rk3566"),  # the vendor's kernel
        ("xunlong,orangepi-3b-v1.1", "xunlong,orangepi-3b", "rockchip,rk3566"),  # mainline
        ("xunlong,orangepi-3b-v2.1", "xunlong,orangepi-3b", "rockchip,rk3566"),
    ],
    "rk3588": [
        ("xunlong,orangepi-5-plus", "rockchip,rk3588"),
        ("xunlong,orangepi-5", "rockchip,rk3588s"),
    ],
    "raspberry-pi-4": [("raspberrypi,4-model-b", "brcm,bcm2711")],
    "raspberry-pi-5": [("raspberrypi,5-model-b", "brcm,bcm2712")],
    "jetson-orin-nano": [
        ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
    ],
}


def plant(root: Path, names: tuple[str, ...]) -> Path:
    tree = root / "proc/device-tree"
    tree.mkdir(parents=True)
    (tree / "compatible").write_bytes(b"".join(name.encode() + b"\0" for name in names))
    return root


@pytest.mark.parametrize(
    ("board", "names"), [(board, names) for board, all_ in TREES.items() for names in all_]
)
def test_boards_are_recognised(
    board: str, names: tuple[str, ...], home: Home, tmp_path: Path
) -> None:
    entry = recognise(Catalogue(home).boards(), plant(tmp_path, names), "aarch64")

    assert entry is not None
    assert entry.name == board
    assert compatible(tmp_path) == names


def test_the_most_specific_string_decides(tmp_path: Path) -> None:
    def board(name: str, match: str) -> Entry[BoardProfile]:
        return Entry(name, Path(name), BoardProfile(1, name, "soc", "notes", (match,)))

    boards = [board("soc", "maker,soc"), board("board", "maker,board")]
    root = plant(tmp_path, ("maker,board", "maker,soc"))

    entry = recognise(boards, root)

    assert entry is boards[1]


def test_an_unknown_board_is_no_laptop(home: Home, tmp_path: Path) -> None:
    root = plant(tmp_path, ("maker,unheard-of", "maker,soc"))

    assert recognise(Catalogue(home).boards(), root, "x86_64") is None


def test_other_tegra_modules_are_no_orin_nano(home: Home, tmp_path: Path) -> None:
    names = ("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234")

    assert recognise(Catalogue(home).boards(), plant(tmp_path, names), "aarch64") is None


def test_without_a_device_tree_the_architecture_decides(home: Home, tmp_path: Path) -> None:
    entry = recognise(Catalogue(home).boards(), tmp_path, "x86_64")

    assert entry is not None
    assert entry.name == "x86-64"
    assert recognise(Catalogue(home).boards(), tmp_path, "riscv64") is None


def test_shipped_profiles_are_sound(home: Home) -> None:
    boards = Catalogue(home).boards()

    assert {entry.problem for entry in boards} == {None}
    assert {"orange-pi-3b", "x86-64"} <= {entry.name for entry in boards}
    for entry in boards:
        profile = entry.require()
        assert profile.architecture or "Not measured by us" in profile.notes
        cores = sum(cluster.cores * cluster.max_mhz for cluster in profile.clusters)
        if profile.peak_gflops_fp32 is not None:
            # Operations a cycle of these cores: 8 of one 128-bit unit, 16 of two.
            assert 8 <= 1000 * profile.peak_gflops_fp32 / cores <= 16
        if profile.peak_gops_int8 is not None and profile.peak_gflops_fp32 is not None:
            assert profile.peak_gops_int8 == pytest.approx(4 * profile.peak_gflops_fp32)
        if profile.memcpy_gb_per_s is not None and profile.memory_gb_per_s is not None:
            assert 2 * profile.memcpy_gb_per_s <= profile.memory_gb_per_s


def test_the_orange_pi_3b_has_the_figures_of_the_study(home: Home) -> None:
    profile = next(e for e in Catalogue(home).boards() if e.name == "orange-pi-3b").require()

    assert (profile.peak_gflops_fp32, profile.peak_gops_int8) == (57.6, 230.4)
    assert profile.npu_tops_int8 == 0.8
    assert profile.power is None  # nobody published one


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"match": ["a"], "architecture": "x86_64"}, "match or architecture must be given"),
        ({}, "match or architecture must be given"),
        ({"match": ["a"], "peak_gflops_fp32": 0}, "peak_gflops_fp32 = 0"),
        ({"match": ["a"], "colour": "green"}, "colour"),
        ({"match": ["a"], "schema_version": 2}, "schema_version = 2"),
    ],
)
def test_a_wrong_profile_says_what_is_wrong(change: dict[str, object], words: str) -> None:
    raw = {"schema_version": 1, "title": "t", "soc": "s", "notes": "n"} | change

    with pytest.raises(SchemaProblem, match=words):
        convert(raw, BoardProfile, "board.toml")


def test_a_users_profile_hides_the_shipped_one(home: Home) -> None:
    path = home.profiles / "boards/x86-64.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        'schema_version = 1\ntitle = "mine"\nsoc = "s"\nnotes = "n"\narchitecture = "x86_64"\n'
    )

    assert [e.require().title for e in Catalogue(home).boards() if e.name == "x86-64"] == ["mine"]
