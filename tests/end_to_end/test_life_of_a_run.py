"""Real processes, killed in every way: nothing is lost, and what is said is true."""

from __future__ import annotations

import os
import signal

import pytest

from edgelab.journal import JournalReader
from edgelab.records import ItemLine, Outcome
from tests.end_to_end.conftest import (
    IMAGES,
    CommandLine,
    eventually,
    measuring,
    over,
    supervisor_pid,
)


def test_a_run_from_the_command_line_to_the_csv(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    result = edgelab.json(*detect, "--precision", "fp32", "--precision", "int8")
    assert result["outcome"] == "finished"
    assert [(row["precision"], row["threshold"]) for row in result["rows"]] == [
        (precision, threshold) for precision in ("fp32", "int8") for threshold in (0.3, 0.5, 0.7)
    ]
    for row in result["rows"]:
        assert row["gt_count"] == row["pred_count"] == sum(index % 6 for index in range(IMAGES))
        assert row["mae_mean"] == row["mse_mean"] == 0
        assert row["images"] == IMAGES
        assert row["latency_p50_ms"] > 0
        assert row["latency_p90_ms"] is None  # 12 images
        assert row["peak_memory_mb"] > 20
    run = result["run"]
    shown = edgelab.json("show", run[:3])
    assert shown["rows"] == result["rows"]
    assert edgelab.json("runs")[0]["run"] == run
    csv = edgelab("export", "last", "--csv", "-")
    assert csv.splitlines()[0].startswith("model,precision,threshold,gt_count,pred_count,mae_mean")
    assert len(csv.splitlines()) == 7
    items = edgelab("export", run, "--csv", "-", "--items")
    assert len(items.splitlines()) == 1 + 2 * 3 * IMAGES
    assert "finished" in edgelab("runs")
    assert "found" in edgelab("replay", run, "--speed", "1000")


def test_abba_measures_each_precision_twice_and_counts_once(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    precisions = ("--precision", "fp32", "--precision", "fp16")
    result = edgelab.json(*detect, *precisions, "--order", "abba", "--repetitions", "3")
    for row in result["rows"]:
        assert row["latency_samples"] == 2 * 3 * IMAGES
        assert row["images"] == IMAGES
        assert row["gt_count"] == row["pred_count"] == sum(index % 6 for index in range(IMAGES))
    items = edgelab("export", "last", "--csv", "-", "--items").splitlines()[1:]
    order = list(dict.fromkeys((row.split(",")[2], int(row.split(",")[3]) // 3) for row in items))
    assert order == [("fp32", 0), ("fp16", 0), ("fp16", 1), ("fp32", 1)]


def test_a_killed_console_costs_nothing_and_the_next_one_finds_the_run(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    console = edgelab.start(*detect, "--repetitions", "200")
    run = eventually(lambda: next(iter(edgelab.home.runs.glob("*/spec.json")), None)).parent.name
    live = edgelab.live(run)
    eventually(measuring(live))
    console.kill()
    console.communicate()
    assert edgelab("watch", run)
    assert eventually(over(live)) is Outcome.FINISHED
    assert live.projection.done == 200 * IMAGES


def test_a_hang_up_does_not_reach_the_run(edgelab: CommandLine, detect: tuple[str, ...]) -> None:
    console = edgelab.start(*detect, "--repetitions", "200")
    run = eventually(lambda: next(iter(edgelab.home.runs.glob("*/spec.json")), None)).parent.name
    live = edgelab.live(run)
    eventually(measuring(live))
    os.kill(supervisor_pid(live), signal.SIGHUP)
    console.send_signal(signal.SIGHUP)
    console.communicate()
    assert eventually(over(live)) is Outcome.FINISHED


def test_a_killed_runner_is_recorded_and_the_queue_goes_on(
    edgelab: CommandLine, detect: tuple[str, ...], endless: tuple[str, ...]
) -> None:
    first = edgelab.json(*endless)["run"]
    second = edgelab.json(*detect, "--detach")["run"]
    live = edgelab.live(first)
    eventually(measuring(live, IMAGES))
    assert live.projection.runner_pid is not None
    os.kill(live.projection.runner_pid, signal.SIGKILL)
    assert eventually(over(live)) is Outcome.KILLED
    assert eventually(over(edgelab.live(second))) is Outcome.FINISHED
    record = edgelab.json("show", first)
    assert "SIGKILL" in record["reason"]
    assert record["passes"][0]["images"] == IMAGES
    edgelab("watch", first, code=1)


def test_a_killed_supervisor_is_told_at_the_next_start_and_files_are_whole(
    edgelab: CommandLine, endless: tuple[str, ...], detect: tuple[str, ...]
) -> None:
    first = edgelab.json(*endless)["run"]
    second = edgelab.json(*detect, "--detach")["run"]
    live = edgelab.live(first)
    eventually(measuring(live))
    runner = live.projection.runner_pid
    os.kill(supervisor_pid(live), signal.SIGKILL)
    eventually(lambda: not alive(runner))  # the kernel ends it with its supervisor
    listed = {run["run"]: run for run in edgelab.json("runs")}
    assert listed[first]["outcome"] == "interrupted"
    assert "supervisor died" in listed[first]["reason"]
    items: JournalReader[object] = JournalReader(live.folder.items, ItemLine)
    assert items.poll()
    assert items.damaged == 0
    assert eventually(over(edgelab.live(second))) is Outcome.FINISHED


def alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


def test_stop_reaches_a_running_and_a_waiting_run(
    edgelab: CommandLine, endless: tuple[str, ...]
) -> None:
    running, waiting = (edgelab.json(*endless)["run"] for _ in range(2))
    live = edgelab.live(running)
    eventually(measuring(live))
    edgelab("stop", waiting)
    assert eventually(over(edgelab.live(waiting))) is Outcome.STOPPED
    assert not live.folder.record.exists()
    edgelab("stop", running)
    assert eventually(over(live)) is Outcome.STOPPED
    assert "over already" in edgelab("stop", running, code=2)


def test_a_time_limit(edgelab: CommandLine, endless: tuple[str, ...]) -> None:
    run = edgelab.json(*endless, "--time-limit", "3")["run"]
    assert eventually(over(edgelab.live(run))) is Outcome.TIMED_OUT


def test_rebuild_makes_the_same_list(edgelab: CommandLine, detect: tuple[str, ...]) -> None:
    edgelab.json(*detect)
    before = edgelab.json("runs")
    edgelab.home.index.unlink()
    assert edgelab("runs", "rebuild") == "1 runs in the index\n"
    assert edgelab.json("runs") == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "detect", "--model", "nosuch", "--dataset", "shapes"), "model nosuch"),
        (("show", "zzz"), "no run has the number"),
        (("export", "last", "--csv", "x.csv"), "no run yet"),
        (("run", "detect", "--model", "x"), "--dataset"),
        (("replay", "last", "--speed", "0"), "above 0"),
        ((), "needs a terminal"),
    ],
)
def test_wrong_use_is_one_clear_line_and_code_2(
    edgelab: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    said = edgelab(*arguments, code=2)
    assert words in said
    assert "Traceback" not in said


def test_a_model_that_is_none_fails_with_a_reason(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    broken = edgelab.home.root.parent / "broken.onnx"
    broken.write_bytes(b"not a model")
    arguments = [str(broken) if part.endswith("colours.onnx") else part for part in detect]
    result = edgelab.json(*arguments, code=1)
    assert result["outcome"] == "failed"
    assert "broken.onnx" in result["reason"]
    assert "Traceback" not in result["reason"]


def test_sub_datasets_share_images_and_count_their_own_class(
    edgelab: CommandLine, detect: tuple[str, ...]
) -> None:
    arguments = (*detect, "--classes", "red,blue", "--per-class", "3", "--threshold", "0.5")
    result = edgelab.json(*arguments)
    record = edgelab.json("show", result["run"])
    (row,) = record["passes"][0]["rows"]
    assert [(each["name"], each["images"]) for each in row["classes"]] == [("red", 3), ("blue", 3)]
    assert all(each["gt_count"] == each["pred_count"] >= 3 for each in row["classes"])
    assert 3 <= record["dataset"]["images"] <= 6
    assert result["rows"][0]["exact_share_mean"] == 1
