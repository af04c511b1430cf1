"""Runs of another board, taken into this lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edgelab.cli import run as command
from edgelab.fitting import Board
from edgelab.home import Home
from edgelab.importing import Imported, Importer
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.reader import Replay
from edgelab.records import Outcome
from edgelab.run_folder import RunFolder
from edgelab.studies import Studies
from tests.edgelab.test_study import carry_out, profile
from tests.screens.recorded_run import RecordedRun


@pytest.fixture
def board(tmp_path: Path) -> Home:
    """The lab of an Orange Pi, as it was copied here: a run of two, and one that waits."""
    home = Home(tmp_path / "orange")
    home.root.mkdir()
    RecordedRun(home, number=1).complete()
    RecordedRun(home, number=2, images=20).complete()
    RecordedRun(home, number=3).queue()
    return home


@pytest.fixture
def studies(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Studies:
    for module in ("edgelab.lab", "edgelab.studies"):
        monkeypatch.setattr(f"{module}.start_supervisor", lambda _: None)
    return Studies(lab)


def take(home: Home, source: Home | Path, origin: str | None = None) -> Imported:
    path = source.root if isinstance(source, Home) else source
    return Importer(home, origin).take(path, lambda _: None)


def test_runs_come_with_all_that_was_recorded_under_new_numbers(lab: Lab, board: Home) -> None:
    done = take(lab.home, board)
    assert [(run.spec.number, run.spec.origin) for run in done.runs] == [
        (1, "Orange Pi 3B"),
        (2, "Orange Pi 3B"),
    ]
    assert done.known == 0
    (problem,) = done.problems
    assert "a0000003: not over" in problem
    there = Lab(board)
    for record in lab.runs():
        folder, original = lab.folder(record.spec.id), there.folder(record.spec.id)
        assert replace(folder.read_spec(), number=original.read_spec().number, origin=None) == (
            original.read_spec()
        )
        assert lab.record(folder).passes == there.record(original).passes
        assert folder.items.read_bytes() == original.items.read_bytes()
        assert Replay(folder).length == Replay(original).length > 0
    assert not lab.home.importing.exists()


def test_again_brings_what_is_new_and_a_single_run_is_enough(lab: Lab, board: Home) -> None:
    assert len(take(lab.home, board.runs / "a0000002", "Pi on the roof").runs) == 1
    done = take(lab.home, board)
    assert ([run.spec.id for run in done.runs], done.known) == (["a0000001"], 1)
    assert [(r.spec.number, r.spec.origin) for r in lab.runs()] == [
        (2, "Orange Pi 3B"),
        (1, "Pi on the roof"),
    ]
    again = take(lab.home, lab.home)
    assert (again.runs, again.known) == ((), 2)
    lab.store.rebuild()
    assert [run.spec.origin for run in lab.runs()] == ["Orange Pi 3B", "Pi on the roof"]


def test_an_imported_run_is_no_run_of_this_board(lab: Lab, board: Home) -> None:
    RecordedRun(board, number=4).queue().begin().end(Outcome.STOPPED)
    own = RecordedRun(lab.home, number=9).complete()
    done = take(lab.home, board)
    assert [run.spec.id for run in Board(None, lab.store.all()).past] == [own.id]
    with pytest.raises(Problem, match="is of Orange Pi 3B: go on with it there"):
        lab.put_back(lab.folder(done.runs[-1].spec.id))
    assert len(lab.runs()) == 4


def test_one_that_is_broken_costs_itself_and_links_are_not_followed(
    lab: Lab, board: Home, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    first, second = RunFolder(board.runs / "a0000001"), RunFolder(board.runs / "a0000002")
    second.artifacts.mkdir()
    (second.artifacts / "model.onnx").write_text("m")
    (second.artifacts / "link").symlink_to(secret)
    second.stop_request.touch()
    first.record.write_text("{")
    (board.runs / "..evil").mkdir()
    spec = json.loads(second.spec_file.read_text())
    (board.runs / "..evil" / "spec.json").write_text(json.dumps({**spec, "id": "../../evil"}))
    (board.runs / "..evil" / "record.json").write_bytes(second.record.read_bytes())
    done = take(lab.home, board)
    assert [run.spec.id for run in done.runs] == ["a0000002"]
    assert len(done.problems) == 3
    copied = lab.folder("a0000002")
    assert [path.name for path in copied.artifacts.iterdir()] == ["model.onnx"]
    assert not copied.stop_request.exists()
    assert [path.name for path in lab.home.runs.iterdir()] == ["a0000002"]


def test_a_full_disk_leaves_nothing_half(
    lab: Lab, board: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgelab.importing.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        take(lab.home, board)
    assert lab.runs() == []
    assert not lab.home.importing.exists()
    monkeypatch.undo()
    assert len(take(lab.home, board).runs) == 2


def test_an_import_that_was_killed_is_made_whole_by_the_next(
    lab: Lab, board: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgelab.importing.Store.put", killed)
    with pytest.raises(KeyboardInterrupt):
        take(lab.home, board)
    monkeypatch.undo()
    assert lab.runs() == []
    (lab.home.importing / "a0000002").mkdir(parents=True)
    done = take(lab.home, board)
    assert ([run.spec.id for run in done.runs], done.known) == (["a0000002"], 1)
    assert [run.spec.id for run in lab.runs()] == ["a0000002", "a0000001"]


def test_a_file_that_cannot_be_read_costs_its_run(
    lab: Lab, board: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def denied(path: Path, *args: Any, **options: Any) -> Any:
        if path == board.runs / "a0000001" / "items.jsonl":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", denied)
    done = take(lab.home, board)
    assert [run.spec.id for run in done.runs] == ["a0000002"]
    assert any("items.jsonl: cannot be read (Permission denied)" in each for each in done.problems)
    assert [path.name for path in lab.home.runs.iterdir()] == ["a0000002"]


def test_a_folder_without_runs_says_what_is_expected(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no run in it; expected a lab's folder"):
        take(lab.home, tmp_path)


def test_a_study_comes_along_and_is_gone_on_with_where_it_was_begun(
    studies: Studies, tmp_path: Path
) -> None:
    wanted = profile(model=("a", "b"), dataset=("d",))
    study = studies.begin("mine", wanted)
    here = studies.lab.home
    carry_out(here, studies, study, 0, Outcome.FINISHED)
    other = Studies(Lab(Home(tmp_path / "other")))
    done = take(other.lab.home, here, "the Pi")
    assert (len(done.runs), done.studies) == (1, 1)
    found = other.find("mine")
    assert (found.id, found.origin) == (study.id, "the Pi")
    assert other.begun("mine", wanted) is None
    with pytest.raises(Problem, match="is of the Pi: go on with it there"):
        other.go_on(found)
    own = other.begin("mine", wanted)
    assert other.find("mine") == own


def test_the_command_tells_what_it_took(
    home: Home, board: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["runs", "import", str(board.root)]) == 1
    told = capsys.readouterr()
    assert "imported: 2 runs of Orange Pi 3B; 0 studies; here already: 0 runs" in told.out
    assert "a0000003: not over" in told.err
    assert command(["runs", "import", str(board.root), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["known"] == 2
    assert command(["runs"]) == 0
    title, _, *rows = capsys.readouterr().out.splitlines()
    assert title.endswith("board")
    assert [row.endswith("Orange Pi 3B") for row in rows] == [True, True]
    assert command(["runs", "--json"]) == 0
    assert [run["origin"] for run in json.loads(capsys.readouterr().out)] == ["Orange Pi 3B"] * 2
