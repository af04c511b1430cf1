"""How runners begin and end: signals, exit codes, journals. Real processes, real signals."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgelab.journal import JournalWriter
from edgelab.problem import Problem
from edgelab.records import DetectedItem, Failure, PassEnded, Phase, Progress, Record
from edgelab.steps import DISK_FULL_EXIT, OUT_OF_MEMORY_EXIT
from runners.step import FAILED_EXIT, STOPPED_EXIT, open_step
from tests.runners.colour_detector import write_cells
from tests.runners.conftest import ROOT, NewRun, RunnerRun

BEGIN = "import os, signal, sys; from pathlib import Path; from runners.step import *\n"


@pytest.fixture
def run(new_run: NewRun) -> RunnerRun:
    """A run folder with a spec, and no programs started yet."""
    return new_run(model="m", dataset="d")


def in_a_step(run: RunnerRun, body: str) -> subprocess.CompletedProcess[str]:
    """Run `body` inside a step of a process of its own."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    program = f"{BEGIN}with open_step(Path({str(run.folder.path)!r}), 'prepare') as step:\n{lines}"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def failures(run: RunnerRun) -> list[str]:
    return [event.text for event in run.events(Failure) if isinstance(event, Failure)]


def test_a_problem_is_one_line_and_no_traceback(run: RunnerRun) -> None:
    done = in_a_step(run, "from edgelab.problem import Problem\nraise Problem('no such model')")
    assert (done.returncode, done.stderr) == (FAILED_EXIT, "no such model\n")
    assert failures(run) == ["no such model"]


def test_anything_else_leaves_its_traceback(run: RunnerRun) -> None:
    done = in_a_step(run, "{}['lost']")
    assert done.returncode == FAILED_EXIT
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("KeyError: 'lost'\n")
    assert failures(run) == ["KeyError: 'lost'"]


@pytest.mark.parametrize(
    "body",
    [
        "bytearray(1 << 60)",
        "import numpy; numpy.empty(1 << 56)",
        "import cv2, numpy; cv2.resize(numpy.zeros((9, 9), 'u1'), (2**31 - 1, 2**30))",
        "raise RuntimeError('[ONNXRuntimeError] : 6 : bfc_arena.cc: Failed to allocate memory')",
        "raise RuntimeError('std::bad_alloc')",
    ],
)
def test_a_failed_allocation_is_proven_out_of_memory(run: RunnerRun, body: str) -> None:
    assert in_a_step(run, body).returncode == OUT_OF_MEMORY_EXIT
    (failure,) = failures(run)
    assert failure.startswith("out of memory: ")


def test_a_full_disk_is_told_by_name(run: RunnerRun, monkeypatch: pytest.MonkeyPatch) -> None:
    append = JournalWriter.append

    def full(writer: JournalWriter, record: Record) -> None:
        if isinstance(record, Phase):
            raise OSError(errno.ENOSPC, "No space left on device")
        append(writer, record)

    monkeypatch.setattr(JournalWriter, "append", full)
    with pytest.raises(SystemExit) as ended, open_step(run.folder.path, "prepare") as step:
        step.phase("draw")
    assert ended.value.code == DISK_FULL_EXIT
    assert failures(run) == [f"disk full: {run.folder.events} could not be written"]


def full(_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_from_the_start(
    run: RunnerRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.folder.events.symlink_to("/dev/full")
    monkeypatch.setattr(sys.stderr, "write", full)  # the log is on the same disk
    with pytest.raises(SystemExit) as ended, open_step(run.folder.path, "prepare"):
        pass
    assert ended.value.code == DISK_FULL_EXIT


def test_a_folder_that_is_no_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, open_step(tmp_path, "prepare"):
        pass
    assert ended.value.code == FAILED_EXIT
    assert capfd.readouterr().err.startswith(f"{tmp_path}/spec.json: cannot be read")


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_waits_for_the_end_of_a_unit(run: RunnerRun, which: signal.Signals) -> None:
    done = in_a_step(
        run,
        "step.phase('work', 9)\n"
        "for index in range(9):\n"
        "    step.progress(index)\n"
        f"    if index == 4: os.kill(os.getpid(), {which.value})\n"
        "    Path(step.folder.path, str(index)).touch()",
    )
    assert (done.returncode, done.stderr) == (STOPPED_EXIT, "stopped\n")
    assert sorted(path.name for path in run.folder.path.glob("[0-9]")) == list("01234")
    assert failures(run) == []


def test_a_stop_in_mid_pass_leaves_whole_journals(
    new_run: NewRun, colour_model: Path, tmp_path: Path
) -> None:
    for index in range(5):
        write_cells(tmp_path / "pictures" / f"{index}.png", {(1, 1): "red"})
    run = new_run(model=str(colour_model), dataset=str(tmp_path / "pictures"))
    assert run.run("runners.prepare")[0] == 0
    program = (
        "import os, signal\n"
        "from runners.detect import DetectPass\n"
        "from runners.passes import measure\n"
        "from runners.step import RunningStep\n"
        "append = RunningStep.item\n"
        "def item(step, record):\n"
        "    append(step, record)\n"
        "    if record.index == 2: os.kill(os.getpid(), signal.SIGTERM)\n"
        "RunningStep.item = item\n"
        "measure(DetectPass, 'a detector')"
    )
    command = [sys.executable, "-c", program, str(run.folder.path), "--precision", "fp32"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (STOPPED_EXIT, "stopped\n")
    assert [item.index for item in run.items()] == [0, 1, 2]
    assert run.events(PassEnded) == []

    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert (again.returncode, again.stderr) == (0, "")
    assert [item.index for item in run.items()] == [0, 1, 2, 3, 4]  # on in the same journals
    assert all(isinstance(item, DetectedItem) for item in run.items())
    assert len(run.events(PassEnded)) == 1


@pytest.mark.parametrize(
    ("environment", "said"), [({}, b"SIGTERM\n"), ({"RANK": "1"}, b"")], ids=["asked", "at once"]
)
def test_a_runner_dies_with_its_supervisor(
    run: RunnerRun, environment: dict[str, str], said: bytes
) -> None:
    """One that a launcher numbered is not asked: it ends before anybody resumes the run."""
    runner = (
        f"{BEGIN}with open_step(Path({str(run.folder.path)!r}), 'prepare') as step:\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"  # not lost if early
        "    signal.alarm(30)  # ends it with another signal, should this one never come\n"
        "    print('ready', flush=True)\n"
        "    sys.exit(signal.sigwait([signal.SIGTERM]).name)\n"
    )
    supervisor = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {runner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", supervisor],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        # The pipe ends only when the runner, which holds it too, is gone.
        assert process.stdout.read() == b""
        assert process.stderr.read() == said


def test_a_supervisor_that_died_while_its_runner_began(run: RunnerRun) -> None:
    runner = (
        f"{BEGIN}signal.alarm(30)\n"
        "parent = os.getppid()\n"
        "print('ready', flush=True)\n"
        "while os.getppid() == parent: pass\n"
        f"with open_step(Path({str(run.folder.path)!r}), 'prepare'): print('went on')\n"
    )
    supervisor = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {runner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", supervisor], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.stdout.read() == b""
        assert process.stderr.read() == b"stopped: the supervisor is gone\n"


def test_a_runner_goes_before_others_when_memory_runs_out(run: RunnerRun) -> None:
    done = in_a_step(run, "print(Path('/proc/self/oom_score_adj').read_text())")
    assert int(done.stdout) >= 500


def test_progress_is_sparse_but_tells_the_end(run: RunnerRun) -> None:
    with open_step(run.folder.path, "prepare") as step:
        step.phase("draw", 1000)
        for done in range(1001):
            step.progress(done)
    told = [event.done for event in run.events(Progress) if isinstance(event, Progress)]
    assert told[0] == 0
    assert told[-1] == 1000
    assert len(told) < 20


def test_signals_are_as_before_when_it_ended(run: RunnerRun) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), open_step(run.folder.path, "prepare"):
        raise Problem("done")
    assert signal.getsignal(signal.SIGTERM) is before
