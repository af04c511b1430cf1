"""The conversion program: what it leaves in the model's folder, and what it takes from there."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from msgspec.structs import replace

from edgelab.catalogue import Catalogue, ClassifierProfile, DetectorProfile
from edgelab.conversion import ConversionReport
from edgelab.converting import conversion_rows, default_name
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import Converted
from edgelab.run_folder import RunFolder
from edgelab.schema import read_json
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import DETECTOR_PRECISIONS, Precision
from edgelab.settings.convert import ConvertSettings
from edgelab.spec import SPEC_VERSION, RunSpec, Settings
from edgelab.steps import steps_of
from runners import convert
from runners.conversion import Refused
from runners.model_file import read_model
from runners.model_folder import CarriedFiles, ModelFolder
from runners.prepared import read_prepared
from runners.quantise import to_half
from runners.step import RunningStep
from tests.runners.colour_classifier import build_classifier, write_images
from tests.runners.colour_detector import build_detector, some_cells, write_cells
from tests.runners.conftest import RunnerRun

SIDE = 640


@pytest.fixture
def settings(tmp_path: Path) -> ConvertSettings:
    """Of a model whose naive quantisation collapses."""
    for seed in range(4):
        write_cells(tmp_path / "images" / f"{seed}.png", some_cells(seed, 50, SIDE), SIDE)
    model = build_detector(tmp_path / "colours.onnx", SIDE)
    return ConvertSettings(
        model=str(model), dataset=str(tmp_path / "images"), name="colours", threads=1
    )


@pytest.fixture
def run(home: Home, settings: ConvertSettings) -> RunnerRun:
    return new_run(home, "00000001", settings)


@pytest.fixture
def folder(home: Home) -> ModelFolder:
    return ModelFolder(home.profiles / "models" / "colours")


def test_a_refusal_fails_its_step_and_leaves_its_report(
    run: RunnerRun,
    home: Home,
    settings: ConvertSettings,
    folder: ModelFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.quantise.float_nodes", lambda _graph: [])
    step = RunningStep(run.folder, "int8")
    convert.begin(step, settings, home, folder)
    with pytest.raises(Refused, match="counts collapse"):
        convert.convert(step, settings, home, folder, Precision.INT8)
    convert.convert(step, settings, home, folder, Precision.FP16)
    assert folder.profile.files == {Precision.FP16: "fp16.onnx"}
    assert "refused: counts collapse" in (folder.path / "int8.txt").read_text()
    assert not (folder.path / "int8.onnx").exists()
    refused, accepted = run.events(Converted)
    assert (refused.path, bool(accepted.path)) == ("", True)  # type: ignore[attr-defined]
    # The model is known, and a second conversion is a second file of the same one.
    assert Catalogue(home).model("colours") is not None
    convert.begin(step, settings, home, folder)
    step.close()
    assert Precision.FP16 in folder.profile.files


def test_a_name_that_another_model_has_is_not_taken(
    run: RunnerRun, home: Home, settings: ConvertSettings, folder: ModelFolder
) -> None:
    folder.path.mkdir(parents=True)
    other = build_detector(folder.path / "fp32.onnx", 64)
    profile = DetectorProfile(schema_version=1, title="t", family="yolo", file=other.name)
    folder._write(profile)
    with pytest.raises(Problem, match=r"holds another model than .*\(--name\)"):
        convert.begin(RunningStep(run.folder, "model"), settings, home, folder)


def test_a_classifier_is_converted_and_its_files_are_measured(home: Home, tmp_path: Path) -> None:
    images = str(write_images(tmp_path / "pictures", each=40))
    model = build_classifier(tmp_path / "hues.onnx")
    settings = ConvertSettings(model=str(model), dataset=images, name="hues", threads=1)
    step = RunningStep(new_run(home, "00000002", settings).folder, "int8")
    folder = ModelFolder(home.profiles / "models" / "hues")
    convert.begin(step, settings, home, folder)
    for precision in settings.precisions:
        convert.convert(step, settings, home, folder, precision)
    step.close()
    profile = folder.profile
    assert isinstance(profile, ClassifierProfile)
    assert (profile.dataset, profile.files) == (
        images, {Precision.FP16: "fp16.onnx", Precision.INT8: "int8.onnx"},
    )  # fmt: skip
    assert "same answer" in (folder.path / "int8.txt").read_text()
    (report,) = [each for each in conversion_rows(reports_of(folder)) if each[0] == "int8"]
    assert report[-1] == "0 of 3 answers"

    shutil.rmtree(home.converted)
    measured = new_run(
        home, "00000003",
        ClassifySettings(model="hues", dataset=images, precisions=DETECTOR_PRECISIONS, threads=1),
    )  # fmt: skip
    assert measured.run("runners.prepare_classify") == (0, "")
    files = {each: file.path for each, file in read_prepared(measured.folder).models.items()}
    assert files == {each: str(folder.path / f"{each}.onnx") for each in DETECTOR_PRECISIONS}
    assert not home.converted.exists(), "nothing was converted again"


def reports_of(folder: ModelFolder) -> list[ConversionReport]:
    return [read_json(path, ConversionReport) for path in sorted(folder.path.glob("*.json"))]


def new_run(home: Home, run_id: str, settings: Settings) -> RunnerRun:
    folder = RunFolder(home.runs / run_id)
    folder.path.mkdir(parents=True)
    folder.write_spec(RunSpec(SPEC_VERSION, run_id, 1, "t", 0.0, settings))
    return RunnerRun(folder)


def test_each_precision_is_a_step_that_may_fail_alone(run: RunnerRun) -> None:
    first, *others = steps_of(run.folder.read_spec())
    assert (first.name, first.needed) == ("model", True)
    assert [(each.name, each.needed) for each in others] == [("fp16", False), ("int8", False)]


def test_the_program_says_why_a_precision_was_not_made(run: RunnerRun, tmp_path: Path) -> None:
    source = Path(run.folder.read_spec().settings.model)
    onnx.save(to_half(onnx.load(source)), source)
    assert run.run("runners.convert", "model") == (0, "")
    code, said = run.run("runners.convert", "int8")
    assert code == 1
    assert "can only be made from an fp32 file" in said


class TestCarriedFiles:
    @pytest.fixture
    def carried(self, tmp_path: Path) -> CarriedFiles:
        source = build_detector(tmp_path / "colours.onnx")
        onnx.save(to_half(onnx.load(source)), tmp_path / "fp16.onnx")
        model = read_model(source, "colours", None)
        return CarriedFiles(model, tmp_path, {Precision.FP16: "fp16.onnx"})

    def test_the_file_of_a_precision_is_found(self, carried: CarriedFiles) -> None:
        found = carried.find(Precision.FP16)
        assert found is not None
        assert found.path.name == "fp16.onnx"
        assert carried.find(Precision.INT8) is None

    def test_a_file_that_holds_something_else_is_refused(self, carried: CarriedFiles) -> None:
        build_detector(carried.folder / "fp16.onnx")
        with pytest.raises(Problem, match=r"fp16\.onnx: holds fp32 weights"):
            carried.find(Precision.FP16)

    def test_a_file_that_is_not_there_is_named(self, carried: CarriedFiles) -> None:
        (carried.folder / "fp16.onnx").unlink()
        with pytest.raises(Problem, match=r"fp16\.onnx: cannot be read"):
            carried.find(Precision.FP16)

    @pytest.mark.parametrize("changed", ["source_sha256", "sha256"])
    def test_a_report_of_another_file(self, carried: CarriedFiles, changed: str) -> None:
        from tests.runners.test_conversions import report_of

        file = carried.folder / "fp16.onnx"
        report = report_of(carried.model.path, file)
        folder = ModelFolder(carried.folder)
        folder.keep_report(report)
        found = carried.find(Precision.FP16)
        assert found is not None
        assert found.report == report
        folder.keep_report(replace(report, **{changed: "0" * 64}))
        if changed == "source_sha256":  # made from another file: made anew from this one
            assert carried.find(Precision.FP16) is None
        else:
            with pytest.raises(Problem, match="not the file that its report speaks of"):
                carried.find(Precision.FP16)


def test_a_shipped_name_is_not_hidden(home: Home, tmp_path: Path) -> None:
    catalogue = Catalogue(home)
    assert default_name("yolov8n-shapes", catalogue, home) == "yolov8n-shapes-converted"
    assert default_name("/x/yolov8n-shapes.onnx", catalogue, home) == "yolov8n-shapes-converted"
    assert default_name("/x/mine.onnx", catalogue, home) == "mine"
    profile = DetectorProfile(schema_version=1, title="t", family="yolo", file="f")
    ModelFolder(home.profiles / "models" / "mine")._write(profile)
    assert default_name("mine", catalogue, home) == "mine"
