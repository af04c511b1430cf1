"""Downloads from a real server on the loopback: cut, resumed, another hash, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgelab.problem import Problem
from runners.download import ATTEMPTS, download
from tests.runners.file_server import Server, serving

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(CONTENT)) as state:
        yield state


def fetch(server: Server, target: Path, sha256: str = SHA256) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []
    download(server.url, target, sha256, lambda here, total: told.append((here, total)))
    return told


def test_a_file_comes_whole_and_its_progress_is_told(server: Server, tmp_path: Path) -> None:
    told = fetch(server, tmp_path / "models" / "w.pt")
    assert (tmp_path / "models" / "w.pt").read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["w.pt"]


def test_a_connection_that_is_cut_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut_after = 100_000
    fetch(server, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_what_an_earlier_attempt_left_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.pt.part").write_bytes(CONTENT[:250_000])
    told = fetch(server, tmp_path / "w.pt", SHA256[:8])
    assert told[0] == (250_000, len(CONTENT))
    assert (tmp_path / "w.pt").read_bytes() == CONTENT
    (tmp_path / "again.pt.part").write_bytes(CONTENT)  # whole, but not renamed yet
    fetch(server, tmp_path / "again.pt")
    assert (tmp_path / "again.pt").read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    (tmp_path / "w.pt.part").write_bytes(CONTENT[:1000])
    fetch(server, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.pt.part").write_bytes(b"x" * 1000)
    fetch(server, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").read_bytes() == CONTENT


def test_a_file_of_another_hash_is_refused(server: Server, tmp_path: Path) -> None:
    server.content = b"something else"
    with pytest.raises(Problem, match=f"expected {SHA256}"):
        fetch(server, tmp_path / "w.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(Problem, match="the server says 404 Not Found"):
        fetch(server, tmp_path / "w.pt")


def test_without_a_network_it_fails_at_once(tmp_path: Path) -> None:
    server = Server(CONTENT, url="http://127.0.0.1:9/w.pt")
    with pytest.raises(Problem, match=r"127\.0\.0\.1:9/w\.pt: .*refused"):
        fetch(server, tmp_path / "w.pt")


def test_a_connection_that_gives_nothing_more_is_given_up(server: Server, tmp_path: Path) -> None:
    server.cut_after = 0
    (tmp_path / "w.pt.part").write_bytes(CONTENT[:1000])
    with pytest.raises(Problem, match="cut after 1000 of 300000 bytes"):
        fetch(server, tmp_path / "w.pt")
    assert len(server.asked) == ATTEMPTS
    assert (tmp_path / "w.pt.part").read_bytes() == CONTENT[:1000]
