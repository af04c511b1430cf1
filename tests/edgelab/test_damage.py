"""What an attack found: one bad file must cost itself, never the lab."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgelab import supervisor
from edgelab.catalogue import Catalogue
from edgelab.cli import run as command
from edgelab.cli.started import attend
from edgelab.export import items_csv, write_csv
from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.lab import Lab
from edgelab.outcome import close_run
from edgelab.problem import Problem
from edgelab.queue import next_number, queued
from edgelab.records import Ended, Item, ItemLine, Outcome, Started, StepStarted
from edgelab.run_folder import RunFolder
from edgelab.schema import SchemaProblem, convert, read_json
from edgelab.settings.detect import DetectSettings
from edgelab.settling import end_orphan
from edgelab.spec import RunSpec
from edgelab.steps import Step
from edgelab.store import Store
from edgelab.supervisor import Flag, drain
from tests.recorded import life_of, make_item, make_spec, write_run

DEEP = b"[" * 100_000


@pytest.fixture(autouse=True)
def one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (Step("finish", "tests.programs", ("finish",)),)
    monkeypatch.setattr(supervisor, "steps_of", lambda _: steps)


def finished(home: Home, number: int) -> RunFolder:
    folder = write_run(home, make_spec(number), life_of([make_item(0, 103.0)]))
    close_run(home, folder)
    return folder


def entry(home: Home, name: str) -> Path:
    home.queue.mkdir(parents=True, exist_ok=True)
    return home.queue / name


def lost_spec(home: Home) -> None:
    folder = write_run(home, make_spec(1), life_of([])).path
    (folder / "spec.json").unlink()
    entry(home, f"00000001-{folder.name}").touch()


def telemetry_is_a_folder(home: Home) -> None:
    (write_run(home, make_spec(1), {}, waiting=True).path / "telemetry.jsonl").mkdir()


def record_is_a_folder(home: Home) -> None:
    write_run(home, make_spec(1), {}, waiting=True).record.mkdir()


def log_is_a_folder(home: Home) -> None:
    write_run(home, make_spec(1), {}, waiting=True).log.mkdir()


BAD = [
    lost_spec,
    telemetry_is_a_folder,
    record_is_a_folder,
    log_is_a_folder,
    lambda home: entry(home, "7").touch(),
    lambda home: entry(home, "²-aaaaaaaa").touch(),
    lambda home: entry(home, "00000001-bbbbbbbb").mkdir(),
    lambda home: entry(home, "00000001-cccccccc").touch(),
    lambda home: (home.root.mkdir(parents=True), home.power_settings.write_bytes(b"a=" + DEEP)),
    lambda home: (home.root.mkdir(parents=True), home.index.write_bytes(b'{"x":' + DEEP)),
]


@pytest.mark.parametrize("damage", BAD)
def test_one_bad_run_or_file_does_not_stop_the_others(home: Home, damage: object) -> None:
    damage(home)  # type: ignore[operator]
    good = write_run(home, make_spec(9), {}, waiting=True)
    drain(home, Flag())
    assert Lab(home).record(good).outcome is Outcome.FINISHED
    assert good.id in {record.spec.id for record in Lab(home).runs()}
    assert not queued(home)
    assert command(["runs"]) == 0


def spoiled(home: Home) -> list[bytes]:
    whole = home.index.read_bytes()
    document = msgspec.json.decode(whole)
    return [
        whole.replace(b"run 1", b"run \xff"),
        b'{"x":' + DEEP,
        b'{"about":{"1":5},"runs":{}}',
        msgspec.json.encode({**document, "runs": {"x": {}}}),
        msgspec.json.encode({**document, "runs": {"1": {"spec": 5}}}),
        b"[]",
    ]


def test_an_index_spoiled_in_any_way_is_made_anew(home: Home) -> None:
    finished(home, 1)
    second = finished(home, 2)
    for data in spoiled(home):
        home.index.write_bytes(data)
        assert [record.spec.number for record in Store(home).all()] == [2, 1], data[:60]
        home.index.write_bytes(data)
        close_run(home, second)
        assert [record.spec.number for record in Store(home).all()] == [2, 1], data[:60]


@pytest.mark.parametrize("data", [b"\xff", DEEP, b'{"spec": ' + DEEP])
def test_a_spoiled_record_is_named_and_costs_no_other(home: Home, data: bytes) -> None:
    finished(home, 2)
    broken = finished(home, 1)
    broken.record.write_bytes(data)
    problems = Store(home).rebuild()
    assert [str(broken.record) in problem for problem in problems] == [True]
    assert [record.spec.number for record in Store(home).all()] == [2]
    with pytest.raises(SchemaProblem, match=r"record\.json"):
        read_json(broken.record, RunSpec)


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", DEEP])
def test_a_spoiled_record_is_made_anew_from_its_journals(home: Home, data: bytes) -> None:
    folder = finished(home, 1)
    whole = folder.record.read_bytes()
    folder.record.write_bytes(data)
    assert Lab(home).rebuild() == []
    assert folder.record.read_bytes() == whole
    assert [record.spec.number for record in Store(home).all()] == [1]


def test_a_bottomless_line_is_one_damaged_line(home: Home) -> None:
    folder = finished(home, 1)
    with folder.items.open("ab") as file:
        file.write(b'{"type":"item","t":' + DEEP + b"\n")
    reader: JournalReader[Item] = JournalReader(folder.items, ItemLine)
    assert len(reader.poll()) == 1
    assert reader.damaged == 1


def test_a_line_without_an_end_is_read_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b"x" * 20_000_000)
    reader: JournalReader[Item] = JournalReader(path, ItemLine)
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b"\n")
    reader.poll()
    assert reader.damaged == 1


def test_a_copied_run_folder_does_not_pass_for_the_original(home: Home) -> None:
    folder = finished(home, 1)
    copy = folder.path.with_name("deadbeef")
    shutil.copytree(folder.path, copy)
    (copy / "record.json").unlink()
    problems = Lab(home).rebuild()
    assert "deadbeef" in problems[0]
    assert [record.spec.id for record in Store(home).all()] == [folder.id]


@pytest.mark.parametrize("text", ["-5", "9" * 300, "", "x", "1e9"])
def test_a_damaged_sequence_is_counted_anew(home: Home, text: str) -> None:
    finished(home, 7)
    home.sequence.write_text(text)
    assert next_number(home) == 8


def test_a_lost_sequence_gives_no_number_twice(home: Home) -> None:
    finished(home, 7)
    home.sequence.unlink(missing_ok=True)
    assert next_number(home) == 8


def test_export_follows_links_and_writes_to_devices(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target.csv", tmp_path / "link.csv", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(link)
    with pytest.raises(Problem, match=r"link\.csv: cannot be written"):
        write_csv(link, "new")
    link.unlink()
    link.symlink_to(target)
    write_csv(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    plain = tmp_path / "plain"
    plain.touch()
    assert target.stat().st_mode == plain.stat().st_mode  # as the umask has it, not private
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        write_csv(pipe, "through")
        assert reader.communicate(timeout=10)[0] == "through"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_profile_that_never_ends_is_one_entry(home: Home) -> None:
    folder = home.profiles / "datasets"
    folder.mkdir(parents=True)
    (folder / "endless.toml").symlink_to("/dev/zero")
    os.mkfifo(folder / "silent.toml")
    known = {entry.name: entry.problem for entry in Catalogue(home).datasets()}
    assert known["shapes"] is None
    for name in ("endless", "silent"):
        assert known[name] == f"{folder}/{name}.toml: cannot be read (a pipe or a device)"


def test_the_doctor_tells_of_a_given_up_run_and_of_a_lab_out_of_reach(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(home, make_spec(1), life_of([make_item(0, 103.0)]))
    assert command(["doctor"]) == 1
    assert f"1 could not be written down ({folder.id}): edgelab runs rebuild" in said_by(capsys)
    command(["runs", "rebuild"])
    command(["doctor"])
    assert "written down" not in said_by(capsys)
    shutil.rmtree(home.root)
    home.root.touch()
    assert command(["doctor"]) == 1
    assert f"{home.root}: File exists" in said_by(capsys)


def said_by(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
def test_results_are_told_when_their_csv_cannot_be_written(
    home: Home, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    folder = finished(home, 1)
    home.exports.touch()  # as good as a full disk
    options = Namespace(detach=False, json=as_json)
    assert attend(Lab(home), folder.read_spec(), options) == 0
    said = capsys.readouterr()
    assert ('"csv": null' if as_json else "finished") in said.out
    assert "no CSV: " in said.err


def test_a_formula_behind_a_nul_is_neutralised(home: Home) -> None:
    item = msgspec.structs.replace(make_item(0, 103.0), image="\0=cmd()")
    folder = write_run(home, make_spec(1), life_of([item]))
    assert ",'=cmd()," in items_csv([folder])


def test_a_yaml_bomb_is_named_without_being_written_out() -> None:
    bomb: list[object] = ["boom"]
    for _ in range(60):
        bomb = [bomb] * 10
    with pytest.raises(SchemaProblem) as caught:
        convert({"task": "detect", "model": bomb, "dataset": "d"}, DetectSettings, "f")
    assert len(str(caught.value)) < 400


def test_a_reader_of_a_runs_files_is_not_taken_for_its_runner(home: Home) -> None:
    folder = write_run(home, make_spec(1), {})
    waiting = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", waiting, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as viewer:
        assert viewer.stdout is not None
        viewer.stdout.readline()
        end_orphan(viewer.pid, folder)
        viewer.communicate(b"", timeout=10)
        assert viewer.returncode == 0


def test_a_run_whose_lock_file_was_removed_is_left_to_its_supervisor(home: Home) -> None:
    watching = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", watching, "edgelab.supervisor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        started = Started(
            t=1.0,
            wall=1.0,
            boot_id=supervisor.environment.boot_id(),
            supervisor_pid=other.pid,
            environment={},
        )
        folder = write_run(
            home,
            make_spec(1),
            {"life": [started, StepStarted(t=2.0, step="fp32", pid=2**22 + 1)]},
            waiting=True,
        )
        Lab(home).recover()
        assert not folder.record.exists()
        other.communicate(b"")
    Lab(home).recover()
    assert Lab(home).record(folder).outcome is Outcome.INTERRUPTED


def test_follow_sees_that_the_supervisor_died_or_the_run_is_gone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgelab.cli import follow
    from edgelab.reader import LiveRun

    monkeypatch.setattr(follow, "QUIET_S", 0.0)
    monkeypatch.setattr(follow, "TICK_S", 0.001)
    journals = life_of([make_item(0, 103.0)])
    journals["life"] = journals["life"][:2]
    folder = write_run(home, make_spec(1), journals, waiting=True)
    assert follow.follow(Lab(home), LiveRun(folder)) is Outcome.INTERRUPTED
    given_up = write_run(home, make_spec(3), journals)  # in no queue, and without a record
    with pytest.raises(Problem, match=f"{given_up.id} was given up"):
        follow.follow(Lab(home), LiveRun(given_up))
    gone = write_run(home, make_spec(2), {}, waiting=True)
    live = LiveRun(gone)
    shutil.rmtree(gone.path)
    with pytest.raises(Problem, match="deleted"):
        follow.follow(Lab(home), live)


def test_escapes_do_not_reach_the_terminal_through_errors(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(home, 1)
    folder.record.write_text('{"\\u001b]0;evil\\u0007": 1}')
    assert command(["show", folder.id]) == 2
    assert command(["runs", "rebuild"]) == 0
    (home.runs / "00000001\x1b[31mX").mkdir()
    (home.runs / "00000001\x1b[31mX" / "spec.json").touch()
    command(["show", "0"])
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\x07" not in said


def test_a_reader_that_has_enough_is_no_error(home: Home) -> None:
    finished(home, 1)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -P -m edgelab runs | true', sys.executable],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_impossible_time_is_shown_as_unknown(home: Home) -> None:
    folder = finished(home, 1)
    record = msgspec.structs.replace(Lab(home).record(folder), started=1e300)
    Store(home).put(record)
    assert command(["runs"]) == 0
    assert command(["export", "all", "--csv", "/dev/null"]) == 0


def test_a_home_that_is_a_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGELAB_HOME", str(tmp_path / "file"))
    assert command(["run", "quick", "--detach"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert command([]) == 2
    assert capsys.readouterr().err == f"edgelab: {tmp_path}/file/index.json: Not a directory\n"
    monkeypatch.setenv("EDGELAB_HOME", "~nobody.is.called.so/lab")
    assert command(["runs"]) == 2
    assert "there is no such user" in capsys.readouterr().err


def test_profiles_that_may_not_be_looked_into_are_listed_as_that(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    glob = Path.glob

    def look(folder: Path, pattern: str) -> Iterator[Path]:
        if home.profiles in folder.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return glob(folder, pattern)

    monkeypatch.setattr(Path, "glob", look)
    known = {entry.name: entry.problem for entry in Catalogue(home).models()}
    assert known["models"] == f"{home.profiles}/models: Permission denied"
    assert known["yolov8n-shapes"] is None


def test_ended_runs_keep_their_words(home: Home) -> None:
    journals = life_of([make_item(0, 103.0)])
    journals["life"] = [
        *journals["life"][:1],
        Ended(t=104.0, wall=1.0, outcome=Outcome.STOPPED, reason="", duration_s=1.0),
    ]
    folder = write_run(home, make_spec(1), journals)
    assert close_run(home, folder).passes[0].outcome is Outcome.NOT_RUN
