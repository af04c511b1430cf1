"""Runs that are killed at any moment and go on: nothing is measured twice, nothing is lost."""

from __future__ import annotations

import os
import signal
from collections import Counter

from edgelab.journal import JournalReader
from edgelab.reader import RunReader
from edgelab.records import Item, ItemLine, Outcome, Started
from tests.end_to_end.conftest import (
    IMAGES,
    CommandLine,
    eventually,
    measuring,
    over,
    supervisor_pid,
)

REPETITIONS = 400
COUNTED = ("precision", "threshold", "gt_count", "pred_count", "mae_mean", "mse_mean", "images")


def counted(rows: list[dict[str, object]]) -> list[list[object]]:
    return [[row[name] for name in COUNTED] for row in rows]


def test_a_run_whose_processes_are_killed_goes_on_from_its_last_image(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    undisturbed = edgelab.json(*detect, "--repetitions", "1", "--precision", "fp32")
    run = edgelab.json(*detect, "--repetitions", str(REPETITIONS), "--detach")["run"]
    live = edgelab.live(run)
    eventually(measuring(live, 50))
    assert live.projection.runner_pid is not None
    os.kill(live.projection.runner_pid, signal.SIGKILL)
    assert eventually(over(live)) is Outcome.KILLED
    first_half = live.projection.done

    edgelab("resume", run, "--detach")
    live = edgelab.live(run)
    eventually(measuring(live, first_half + 50))
    os.kill(supervisor_pid(live), signal.SIGKILL)
    assert {each["run"]: each["outcome"] for each in edgelab.json("runs")}[run] == "interrupted"

    result = edgelab.json("resume", run)
    assert result["outcome"] == "finished"
    assert counted(result["rows"]) == counted(undisturbed["rows"])
    assert [note for note in result["warnings"] if note.startswith("resumed")] == [
        "resumed: the attempt before was killed",
        "resumed: the attempt before was interrupted",
    ]
    journal: JournalReader[Item] = JournalReader(live.folder.items, ItemLine)
    times = Counter((item.repetition, item.index) for item in journal.poll())
    assert set(times.values()) == {1}
    assert len(times) == REPETITIONS * IMAGES


def test_the_attempts_of_a_run_are_one_story_in_time(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    run = edgelab.json(*detect, "--repetitions", str(REPETITIONS), "--detach")["run"]
    live = edgelab.live(run)
    eventually(measuring(live))
    edgelab("stop", run)
    assert eventually(over(live)) is Outcome.STOPPED
    stopped_after = live.projection.elapsed_s
    result = edgelab.json("resume", run)
    assert result["outcome"] == "finished"
    records = RunReader(live.folder).poll()
    starts = [record.t for record in records if isinstance(record, Started)]
    assert len(starts) == 2
    assert starts[1] > max(record.t for record in records[: records.index(_second(records))])
    took = edgelab.json("show", run)["duration_s"]
    assert stopped_after is not None
    assert stopped_after < took < records[-1].t - records[0].t  # the gap between is nobody's time
    assert "found" in edgelab("replay", run, "--speed", "1000")


def _second(records: list[object]) -> object:
    return [record for record in records if isinstance(record, Started)][1]


def test_what_cannot_go_on_says_why(edgelab: CommandLine, detect: tuple[str, ...]) -> None:
    finished = edgelab.json(*detect)["run"]
    assert "is finished" in edgelab("resume", finished, code=2)
    endless = edgelab.json(*detect, "--repetitions", "1000000", "--detach")["run"]
    live = edgelab.live(endless)
    eventually(measuring(live))
    assert "waiting or running already" in edgelab("resume", endless, code=2)
    edgelab("stop", endless)
    eventually(over(live))
    images = live.folder.path.parents[2] / "images"
    (images / "0.png").write_bytes((images / "1.png").read_bytes() + b"\0")
    result = edgelab.json("resume", endless, code=1)
    assert "the dataset changed since the run began" in result["reason"]
