"""Out of memory: where it died, and what the next attempt asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.cli import run as command_line
from edgelab.death import Death
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.record import RECORD_VERSION, PassSummary, RunRecord
from edgelab.records import Outcome
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.smaller import smaller
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.stage import StageMark, read_stage
from tests.edgelab.test_vlm_memory import checkpoint

DIED = "the kernel killed it for memory (counted in its control group), in the stage "


def dead(settings: MeasureSettings, stage: str, *precisions: str) -> RunRecord:
    """A run whose passes ran out of memory."""
    spec = RunSpec(SPEC_VERSION, "0123abcd", 1, "t", 0.0, settings)
    passes = tuple(
        PassSummary(Precision(each), Outcome.OUT_OF_MEMORY, reason=DIED + stage)
        for each in precisions or ("fp32",)
    )
    return RunRecord(RECORD_VERSION, spec, Outcome.FAILED, passes=passes)


def ask(**changes: object) -> AskSettings:
    return AskSettings(model="lab/tiny", dataset="shapes", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "stage", "change"),
    [
        (ask(tiling=True), "vision encode", "without tiling"),
        (ask(max_pixels=100_000), "prefill", "at most 50000 pixels"),
        (ask(max_pixels=100_000), "load", "in fp16"),
        (ask(tiling=True), "quantise", "in fp16"),
        (ask(max_pixels=2000), "decode", "in fp16"),
        (ask(), "vision encode", "in fp16"),
    ],
)
def test_where_it_died_decides_what_is_made_smaller(
    settings: AskSettings, stage: str, change: str, home: Home
) -> None:
    changed, said = smaller(dead(settings, stage), home)
    assert said == change
    assert changed != settings
    assert changed.precisions == (Precision.FP16 if "fp16" in change else Precision.FP32,)


def test_precisions_come_down_to_their_end(home: Home) -> None:
    seen, precision = [], Precision.FP32
    while precision is not Precision.NF4:
        precision = smaller(dead(ask(), "load", precision), home)[0].precisions[0]
        seen.append(precision.value)
    assert seen == ["fp16", "bf16", "int8-dynamic", "int8", "nf4"]
    with pytest.raises(Problem, match="choose a smaller model"):
        smaller(dead(ask(), "load", precision), home)


def test_only_the_passes_that_died_are_tried_again(home: Home) -> None:
    settings = ask(tiling=True, precisions=(Precision.FP32, Precision.BF16, Precision.NF4))
    changed, _ = smaller(dead(settings, "vision encode", "fp32", "bf16"), home)
    assert changed.precisions == (Precision.FP32, Precision.BF16)
    lower, _ = smaller(dead(settings, "load", "fp32", "bf16"), home)
    assert lower.precisions == (Precision.INT8_DYNAMIC,)


def test_qwen_gets_a_bound_where_it_had_none(tmp_path: Path, home: Home) -> None:
    folder = checkpoint(tmp_path / "qwen", {"model_type": "qwen2_vl", "vision_config": {}})
    settings = AskSettings(model=str(folder), dataset="shapes")
    changed, said = smaller(dead(settings, "prefill"), home)
    assert (changed.max_pixels, said) == (401_408, "at most 401408 pixels")


def test_a_detector_goes_to_int8_and_no_further(home: Home) -> None:
    settings = DetectSettings(model="m.onnx", dataset="shapes")
    changed, said = smaller(dead(settings, "load"), home)
    assert (changed.precisions, said) == ((Precision.INT8,), "in int8")
    with pytest.raises(Problem, match="no lower precision"):
        smaller(dead(settings, "load", "int8"), home)


def test_a_run_that_did_not_run_out_of_memory_is_refused(home: Home) -> None:
    record = RunRecord(
        RECORD_VERSION, RunSpec(SPEC_VERSION, "0123abcd", 1, "t", 0.0, ask()), Outcome.FINISHED
    )
    with pytest.raises(Problem, match="no pass of it ran out of memory"):
        smaller(record, home)


def test_the_stage_of_another_step_is_not_taken(tmp_path: Path) -> None:
    assert read_stage(tmp_path / "stage", "fp32") == ""
    mark = StageMark(tmp_path / "stage", "fp32")
    mark("vision encode")
    mark("decode")
    assert read_stage(tmp_path / "stage", "fp32") == "decode"
    assert read_stage(tmp_path / "stage", "int8") == ""
    (tmp_path / "stage").write_bytes(b"\xff damaged")
    assert read_stage(tmp_path / "stage", "fp32") == ""


def test_only_a_lack_of_memory_is_told_with_its_stage() -> None:
    assert Death(Outcome.OUT_OF_MEMORY, "x").in_stage("load").reason == "x, in the stage load"
    assert Death(Outcome.FAILED, "x").in_stage("load").reason == "x"
    assert Death(Outcome.OUT_OF_MEMORY, "x").in_stage("").reason == "x"


def test_the_command_says_what_is_less_and_submits_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgelab.lab.start_supervisor", lambda _: None)
    spec = lab.submit(ask(tiling=True), "t")
    record = dead(ask(tiling=True), "vision encode")
    monkeypatch.setattr("edgelab.lab.Lab.record", lambda *_: record)
    assert command_line(["retry", spec.id, "--detach"]) == 0
    assert "again, without tiling" in capsys.readouterr().err
    again = [folder.read_spec() for folder in lab.active()][-1]
    assert (again.title, again.settings) == ("t, without tiling", ask())
