from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgelab import lab as lab_module
from edgelab.durable import locked
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.outcome import close_run
from edgelab.problem import Problem
from edgelab.queue import next_number, queued
from edgelab.records import Outcome
from edgelab.run_folder import RunFolder
from edgelab.settings.detect import DetectSettings
from tests.recorded import life_of, make_item, make_spec, write_run

SETTINGS = DetectSettings(model="m", dataset="d")


@pytest.fixture
def no_supervisor(monkeypatch: pytest.MonkeyPatch) -> list[Home]:
    started: list[Home] = []
    monkeypatch.setattr(lab_module, "start_supervisor", started.append)
    return started


def finished(home: Home, number: int) -> RunFolder:
    folder = write_run(home, make_spec(number), life_of([make_item(0, 103.0)]))
    close_run(home, folder)
    return folder


def test_a_submitted_run_waits_and_has_a_supervisor(lab: Lab, no_supervisor: list[Home]) -> None:
    first, second = (lab.submit(SETTINGS, "t") for _ in range(2))
    assert (first.number, second.number) == (1, 2)
    assert [folder.id for folder in lab.active()] == [first.id, second.id]
    assert lab.folder(first.id).read_spec() == first
    # A console of an older edgelab, still open, must be able to read it.
    assert not {"origin", "study"} & json.loads(lab.folder(first.id).spec_file.read_text()).keys()
    assert [record.outcome for record in lab.runs()] == [Outcome.QUEUED] * 2
    assert len(no_supervisor) == 2


def test_numbers_are_given_once_among_many(home: Home) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: next_number(home), range(40)))
    assert sorted(numbers) == list(range(1, 41))


def test_a_torn_sequence_file_does_not_reuse_a_waiting_number(
    lab: Lab, no_supervisor: list[Home]
) -> None:
    lab.submit(SETTINGS, "t")
    lab.home.sequence.write_text("")
    assert next_number(lab.home) == 2


def test_a_run_is_found_by_a_short_unique_prefix(lab: Lab) -> None:
    for number in (0x1A2B3C4D, 0x1A2F0000, 0x20000000):
        finished(lab.home, number)
    assert lab.find("#439041101").id == "1a2b3c4d"
    assert lab.find("439041101").id == "1a2b3c4d"
    assert lab.find("1a2b").id == "1a2b3c4d"
    assert lab.find("2").id == "20000000"
    assert lab.find("last").id == "20000000"
    with pytest.raises(Problem, match="could be any of 1a2b3c4d, 1a2f0000"):
        lab.find("1a2")
    for none in ("ff", "", "../x", "*", "#2", "#", "#1a2b"):
        with pytest.raises(Problem, match="no run"):
            lab.find(none)


def test_a_number_that_is_also_the_beginning_of_an_id_is_not_guessed_at(lab: Lab) -> None:
    finished(lab.home, 2)
    finished(lab.home, 0x20000000)
    assert lab.find("#2").id == "00000002"
    with pytest.raises(Problem, match=r"00000002, 20000000.*#number"):
        lab.find("2")


def test_a_delete_that_was_killed_leaves_no_half_of_a_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = finished(lab.home, 1), finished(lab.home, 2)

    def killed(_: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise KeyboardInterrupt

    monkeypatch.setattr(lab_module.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        lab.delete(first)
    monkeypatch.undo()
    assert lab.rebuild() == []
    assert [run.spec.id for run in lab.runs()] == [second.id]
    lab.delete(second)
    assert not lab.home.deleting.exists()


def test_a_run_that_is_put_back_meanwhile_is_not_deleted(lab: Lab) -> None:
    folder = finished(lab.home, 1)
    with ThreadPoolExecutor(1) as pool:
        with locked(lab.home.resume_lock):
            deletion = pool.submit(lab.delete, folder)
            with pytest.raises(TimeoutError):
                deletion.result(timeout=0.2)
            folder.record.unlink()  # as resuming does, with this lock
        with pytest.raises(Problem, match="not over"):
            deletion.result()
    assert folder.spec_file.exists()


def test_delete_removes_folder_and_line_but_no_living_run(lab: Lab) -> None:
    folder = finished(lab.home, 1)
    lab.delete(folder)
    assert not folder.path.exists()
    assert lab.runs() == []
    waiting = write_run(lab.home, make_spec(2), {}, waiting=True)
    with pytest.raises(Problem, match="stop it first"):
        lab.delete(waiting)


def test_rebuild_finds_runs_that_lost_index_queue_and_record(lab: Lab) -> None:
    folders = [finished(lab.home, number) for number in (1, 2, 3)]
    before = lab.runs()
    folders[1].record.unlink()
    lab.home.index.unlink()
    assert lab.rebuild() == []
    assert lab.runs() == before


def test_recover_starts_a_supervisor_only_for_waiting_runs(
    lab: Lab, no_supervisor: list[Home]
) -> None:
    lab.recover()
    assert no_supervisor == []
    write_run(lab.home, make_spec(1), {}, waiting=True)
    lab.recover()
    assert no_supervisor == [lab.home]
    assert len(queued(lab.home)) == 1


def test_stop_of_a_run_that_is_over_is_wrong_use(lab: Lab) -> None:
    with pytest.raises(Problem, match="over already"):
        lab.stop(finished(lab.home, 1))


def test_the_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGELAB_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert str(Home.default().root) == "/somewhere/edgelab"
    monkeypatch.setenv("EDGELAB_HOME", "relative")
    assert str(Home.default().root) == str(Path.cwd() / "relative")
