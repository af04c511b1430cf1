from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.catalogue import Catalogue
from edgelab.cli import parser
from edgelab.cli import study as study_command
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.machine import usable_cores
from edgelab.outcome import close_run
from edgelab.problem import Problem
from edgelab.queue import dequeue, queued
from edgelab.record import RECORD_VERSION, RunRecord
from edgelab.records import Outcome
from edgelab.schema import read_toml
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.settings.finetune import FinetuneSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.studies import Studies
from edgelab.study import Case, Study, StudyProfile, StudyRun, expand
from edgelab.study_editing import profile_from, texts_of
from edgelab.study_progress import StudyProgress
from tests.recorded import life_of, make_item, write_run

DETECT = {"task": "detect", "precisions": ["fp32", "int8"], "thresholds": [0.3, 0.5, 0.7]}


def profile(**axes: tuple[object, ...]) -> StudyProfile:
    return StudyProfile(schema_version=1, title="t", settings=DETECT, axes=axes)  # type: ignore[arg-type]


@pytest.fixture
def studies(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Studies:
    for module in ("edgelab.lab", "edgelab.studies"):
        monkeypatch.setattr(f"{module}.start_supervisor", lambda _: None)
    return Studies(lab)


def carry_out(home: Home, studies: Studies, study: Study, place: int, outcome: Outcome) -> None:
    """Let one run of the study happen."""
    run = study.runs[place].run
    spec = studies.lab.folder(run).read_spec()
    items = [make_item(index, 103.0 + index) for index in range(10)]
    close_run(home, write_run_again(home, spec, life_of(items, outcome)))
    dequeue(home, run)


def write_run_again(home, spec, journals):  # type: ignore[no-untyped-def]
    (home.runs / spec.id / "spec.json").unlink()
    (home.runs / spec.id).rmdir()
    return write_run(home, spec, journals)


def test_the_matrix_is_expanded_in_order_and_each_run_is_there_once() -> None:
    runs = expand(profile(model=("a", "b", "a"), dataset=("d",), threads=(1, 2)), "here")
    assert [(run.model, run.threads) for run in runs] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert all(run.passes == (Precision.FP32, Precision.INT8) for run in runs)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_a_study_has_each_combination_once(models: list[str], threads: list[int]) -> None:
    runs = expand(profile(model=tuple(models), dataset=("d",), threads=tuple(threads)), "here")
    assert len(runs) == len(set(models)) * len(set(threads)) == len(set(runs))


def test_models_that_do_not_know_the_data_are_stood_in_for(home: Home) -> None:
    entry = Catalogue(home).study("counting-cv")
    assert entry is not None
    on_shapes = expand(entry.require().changed(dataset=["shapes"]), "counting-cv")
    assert [run.model for run in on_shapes] == ["yolov8n-shapes", "ssdlite320-shapes"]
    on_coco = expand(entry.require(), "counting-cv")
    assert [run.model for run in on_coco] == ["yolov8n", "ssdlite320-mobilenetv3"]
    assert sum(len(run.passes) * len(run.cuts) for run in on_shapes) == 18
    assert sum(len(run.passes) for run in on_shapes) == 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axes": {"precisions": ("fp32",)}}, "axes.precisions: a run takes it whole"),
        ({"axes": {"task": ("detect",)}}, "axes.task: is under settings too"),
        ({"axes": {"modle": ("a",)}}, "modle"),
        ({"settings": {"task": "dance"}}, "dance"),
        ({"settings": {**DETECT, "thresholds": [2.0]}}, "thresholds"),
        ({"axes": {"model": tuple("abcdefgh"), "threads": tuple(range(1, 101)),
                   "limit": (1, 2)}}, "at most 1000"),
    ],
)  # fmt: skip
def test_a_broken_matrix_names_the_key(changes: dict[str, object], words: str) -> None:
    raw = {"model": ("a",), "dataset": ("d",)}
    broken = StudyProfile(
        schema_version=1,
        title="t",
        settings=changes.get("settings", DETECT),  # type: ignore[arg-type]
        axes={**raw, **changes.get("axes", {})},  # type: ignore[dict-item]
    )
    with pytest.raises(Problem, match=words.replace(".", r"\.")):
        expand(broken, "here")


def test_a_profile_with_a_wrong_key_names_file_key_and_value(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('schema_version = 1\ntitle = "t"\nsettings = {}\n[axes]\nmodel = []\n')
    with pytest.raises(Problem, match=r"mine\.toml: axes\.model is empty"):
        read_toml(path, StudyProfile)


def test_a_study_is_begun_once_and_goes_on_where_it_stands(home: Home, studies: Studies) -> None:
    mine = profile(model=("a", "b", "c", "d"), dataset=("d",))
    study = studies.begin("mine", mine)
    assert [folder.id for folder in queued(home)] == [each.run for each in study.runs]
    assert all(studies.lab.folder(e.run).read_spec().study == study.id for e in study.runs)
    carry_out(home, studies, study, 0, Outcome.FINISHED)
    carry_out(home, studies, study, 1, Outcome.OUT_OF_MEMORY)
    carry_out(home, studies, study, 2, Outcome.KILLED)
    assert studies.begun("mine", mine) == study
    assert studies.begun("mine", profile(model=("a",), dataset=("d",))) is None
    assert studies.go_on(study) == 1
    assert [folder.id for folder in queued(home)] == [study.runs[2].run, study.runs[3].run]
    assert studies.go_on(study) == 0
    assert studies.go_on(study, retry=True) == 1
    assert studies.find(study.id[:4]) == studies.find("mine") == studies.find("last") == study


def test_a_run_that_was_deleted_is_made_again(home: Home, studies: Studies) -> None:
    study = studies.begin("mine", profile(model=("a", "b"), dataset=("d",)))
    carry_out(home, studies, study, 0, Outcome.FINISHED)
    studies.lab.delete(studies.lab.folder(study.runs[0].run))
    assert studies.go_on(study) == 1
    assert studies.lab.folder(study.runs[0].run).spec_file.exists()


def test_a_crash_while_it_is_begun_loses_no_run(
    home: Home, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Lab.write_down
    calls = []

    def dies_at_the_second(self: Lab, *arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *arguments)  # type: ignore[arg-type]

    mine = profile(model=("a", "b", "c"), dataset=("d",))
    with monkeypatch.context() as patched:
        patched.setattr(Lab, "write_down", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            studies.begin("mine", mine)
    study = studies.begun("mine", mine)
    assert study is not None
    assert studies.go_on(study) == 2
    assert {folder.id for folder in queued(home)} == {each.run for each in study.runs}


def test_stop_reaches_each_waiting_run(home: Home, studies: Studies) -> None:
    study = studies.begin("mine", profile(model=("a", "b"), dataset=("d",)))
    other = studies.begin("other", profile(model=("z",), dataset=("d",)))
    studies.stop(study)
    assert [folder.id for folder in queued(home)] == [other.runs[0].run]
    outcomes = {record.outcome for record in studies.records(study).values()}
    assert outcomes == {Outcome.STOPPED}


def test_time_left_is_told_once_something_was_measured(home: Home, studies: Studies) -> None:
    study = studies.begin("mine", profile(model=("a", "b"), dataset=("d",)))
    progress = StudyProgress.of(study, studies.records(study))
    assert progress.time_left_s is None
    assert progress.done == 0
    assert not progress.over
    assert len(progress.cells) == 4
    carry_out(home, studies, study, 0, Outcome.FINISHED)
    progress = StudyProgress.of(study, studies.records(study))
    first = progress.cells[0]
    assert first.items_done == 10
    assert first.seconds_per_item is not None
    # The recorded run measured fp32 only; what is left are both passes of the other model.
    assert progress.time_left_s == pytest.approx(2 * 10 * first.seconds_per_item)


def test_a_key_within_a_table_can_be_an_axis_and_a_case_changes_some_runs() -> None:
    mine = StudyProfile(
        schema_version=1,
        title="t",
        settings={"task": "finetune", "dataset": "d", "schedule": {"epochs": 2}},
        axes={"model": ("a", "b"), "lora.parts": (("llm",), ("llm", "vision"))},
        cases=(Case({"model": "b", "lora.parts": ["llm", "vision"]}, {"schedule.batch": 1}),),
    )
    runs = expand(mine, "here")
    assert [(run.model, run.detail) for run in runs] == [
        ("a", "llm fp32"), ("a", "llm+vision fp32"), ("b", "llm fp32"), ("b", "llm+vision fp32"),
    ]  # fmt: skip
    assert all(isinstance(run, FinetuneSettings) and run.schedule.epochs == 2 for run in runs)
    assert [run.schedule.batch for run in runs if isinstance(run, FinetuneSettings)] == [4, 4, 4, 1]
    asked = mine.with_setting("schedule.batch", 8).with_setting("lora.parts", ["projector"])
    assert [run.detail for run in expand(asked, "here")] == ["projector fp32"] * 2
    with pytest.raises(Problem, match=r"lora\.parts"):
        expand(mine.with_setting("lora.parts", ["tower"]), "here")


def test_runs_without_passes_are_forecast_by_those_that_ended() -> None:
    runs = expand(
        StudyProfile(
            schema_version=1, title="t", settings={"task": "finetune", "dataset": "d"},
            axes={"model": ("a", "b", "c")},
        ),
        "here",
    )  # fmt: skip
    planned = tuple(StudyRun(f"{n:08x}", settings) for n, settings in enumerate(runs))
    study = Study(1, "0" * 8, "s", "t", 0.0, planned)

    def progress(*ends: tuple[Outcome, float]) -> StudyProgress:
        records = {}
        for each, (outcome, took) in zip(planned, ends, strict=True):
            spec = RunSpec(SPEC_VERSION, each.run, 1, "t", 0.0, each.settings)
            records[each.run] = RunRecord(RECORD_VERSION, spec, outcome, duration_s=took)
        return StudyProgress.of(study, records)

    waits = (Outcome.QUEUED, 0.0)
    assert progress((Outcome.RUNNING, 30.0), waits, waits).time_left_s is None
    later = progress((Outcome.FINISHED, 100.0), (Outcome.RUNNING, 30.0), waits)
    assert later.time_left_s == 70 + 100
    assert (later.done, study.cells, later.over) == (1, 3, False)


def test_the_command_line_changes_the_matrix(home: Home, studies: Studies) -> None:
    options = parser().parse_args(
        ["study", "counting-cv", "--dataset", "shapes", "--model", "yolov8n-shapes",
         "--precision", "fp32", "--threshold", "0.4", "--threshold", "0.6",
         "--classes", "circle, star", "--per-class", "5", "--threads", "1", "--threads", "2",
         "--detach", "--json"]
    )  # fmt: skip
    assert study_command.run(options) == 0
    (study,) = studies.all()
    assert [run.settings.threads for run in study.runs] == [1, 2]
    for settings in study.plan:
        assert isinstance(settings, DetectSettings)
        assert (settings.model, settings.dataset) == ("yolov8n-shapes", "shapes")
        assert (settings.precisions, settings.thresholds) == ((Precision.FP32,), (0.4, 0.6))
        assert (settings.classes, settings.per_class) == (("circle", "star"), 5)


@pytest.mark.parametrize("name", ["counting-vlm", "chart-classification"])
def test_the_form_of_a_shipped_study_changes_nothing_by_itself(home: Home, name: str) -> None:
    entry = Catalogue(home).study(name)
    assert entry is not None
    profile = entry.require()
    typed = profile_from(profile, texts_of(profile), Catalogue(home))
    assert expand(typed, name) == expand(profile.changed(threads=[usable_cores()]), name)
