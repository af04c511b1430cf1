"""From a torch checkpoint to ONNX files that are asked by name: made, held against it, refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("transformers")

from edgelab.catalogue import Catalogue, HubModel, checkpoint_of
from edgelab.cli import run as command_line
from edgelab.conversion import ConversionReport, TokenCheck
from edgelab.converting import conversion_rows, vlm_conversion, vlm_name
from edgelab.export import conversions_csv
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun
from edgelab.records import Phase
from edgelab.run_folder import RunFolder
from edgelab.schema import read_json, read_toml
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import VLM_FILE_PRECISIONS, Precision
from edgelab.settings.convert_vlm import ConvertVlmSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.steps import steps_of
from runners import convert_vlm
from runners.conversion import Refused
from runners.smolvlm.doctor import FP32_ERROR, Examination
from runners.smolvlm.folder import VlmFolder
from runners.smolvlm.layout import precisions_of
from runners.smolvlm.reference import IMAGES, QUESTIONS, read_reference
from runners.step import RunningStep
from tests.runners.asked_run import AskedRun
from tests.runners.colour_detector import write_coloured_cells
from tests.runners.tiny_smolvlm import build_smolvlm
from tests.runners.tiny_vlms import build_qwen2_vl


class Conversion:
    """A conversion in this process, by the program's own functions."""

    def __init__(self, home: Home, model: Path, **settings: Any) -> None:
        self.home = home
        self.settings = ConvertVlmSettings(
            **{"model": str(model), "name": "tiny-onnx", "threads": 1, **settings}
        )
        self.run = RunFolder(home.runs / "00000001")
        self.run.path.mkdir(parents=True)
        self.run.write_spec(RunSpec(SPEC_VERSION, self.run.id, 1, "t", 1.7e9, self.settings))
        self.folder = VlmFolder(home.profiles / "hub", self.settings.name)

    def begin(self) -> None:
        self._in_step("model", lambda step: convert_vlm.begin(
            step, self.settings, self.home, self.folder
        ))  # fmt: skip

    def convert(self, precision: Precision) -> None:
        self._in_step(precision.value, lambda step: convert_vlm.convert(
            step, self.settings, self.folder, precision
        ))  # fmt: skip

    def _in_step(self, name: str, work: Callable[[RunningStep], None]) -> None:
        step = RunningStep(self.run, name)
        try:
            work(step)
        finally:
            step.close()

    def projection(self) -> RunProjection:
        live = LiveRun(self.run)
        live.advance()
        return live.projection


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_smolvlm(tmp_path_factory.mktemp("smolvlm") / "torch", family="smolvlm")


def test_every_precision_is_made_checked_and_asked_by_name(
    home: Home, checkpoint: Path, tmp_path: Path
) -> None:
    made = Conversion(home, checkpoint, precisions=VLM_FILE_PRECISIONS)
    made.begin()
    for precision in VLM_FILE_PRECISIONS:
        made.convert(precision)
    reports = made.projection().conversions
    asked = IMAGES * len(QUESTIONS)
    for precision, report in reports.items():
        assert report.refusal is None
        assert report.checked == asked
        assert report.tokens is not None
        assert (report.tokens.largest_error < 1e-5) == (precision is Precision.FP32)
        assert report.tokens.same <= report.tokens.tokens
        assert report == read_json(made.folder.path / f"{precision}.json", ConversionReport)
        text = (made.folder.path / f"{precision}.txt").read_text()
        assert "same token" in text
        assert ("off by under 0.01% in the mean" in text) == (precision is Precision.FP32)
    assert reports[Precision.FP32].tokens.same == reports[Precision.FP32].tokens.tokens
    assert reports[Precision.INT8].executed.integer > 0
    rows = conversion_rows(reports.values())
    assert rows[0][-1] == f"0 of {reports[Precision.FP32].tokens.tokens} next tokens"
    assert "same_tokens" in conversions_csv([made.projection().record()]).splitlines()[0]
    assert not list(made.folder.root.glob(".making-*"))

    entry = Catalogue(home).hub_model("tiny-onnx")
    assert entry is not None
    assert precisions_of(Path(checkpoint_of(entry))) == tuple(VLM_FILE_PRECISIONS)
    run = AskedRun.new(
        home, model="tiny-onnx", dataset=str(write_coloured_cells(tmp_path)), limit=1,
        run="00000002",
    )  # fmt: skip
    run.run()
    (summary,) = run.projection().record().passes
    assert summary.model_name == "tiny-onnx"
    assert summary.model_sha256 == reports[Precision.FP32].sha256
    assert "onnxruntime" in (summary.runtime or "")


def test_what_is_told_while_it_goes_on(home: Home, checkpoint: Path) -> None:
    made = Conversion(home, checkpoint)
    (made.folder.root / ".making-killed").mkdir(parents=True)
    made.begin()
    assert not list(made.folder.root.iterdir())
    made.convert(Precision.Q4)
    phases = [(each.step, each.name, each.total) for each in _phases(made)]
    assert phases == [
        ("model", "find the model", None),
        ("model", "load the model with torch", None),
        ("model", "answer with torch", 4),
        ("q4", "q4 model", 3),
        ("q4", "q4 model: check", 4),
    ]
    first, *others = steps_of(made.run.read_spec())
    assert (first.name, first.needed) == ("model", True)
    assert [(each.name, each.needed) for each in others] == [
        ("fp32", False), ("int8", False), ("q4", False)
    ]  # fmt: skip


def _phases(made: Conversion) -> list[Phase]:
    from edgelab.journal import JournalReader
    from edgelab.records import Event, Record

    reader: JournalReader[Record] = JournalReader(made.run.events, Event)
    return [each for each in reader.poll() if isinstance(each, Phase)]


def test_fp32_files_that_are_another_model_are_refused_and_not_kept(
    home: Home, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runners.smolvlm.weights import Weights

    made = Conversion(home, checkpoint)
    made.begin()
    read = Weights.read

    def off_by_a_percent(self: Weights, name: str, *how: Any) -> Any:
        found = read(self, name, *how)
        return (
            found * found.dtype.type(1.01)
            if name.endswith("layers.1.mlp.up_proj.weight")
            else found
        )

    monkeypatch.setattr(Weights, "read", off_by_a_percent)
    with pytest.raises(Refused, match="another model than the checkpoint: logits are off by"):
        made.convert(Precision.FP32)
    assert "refused" in (made.folder.path / "fp32.txt").read_text()
    assert precisions_of(made.folder.path) == ()
    assert Catalogue(home).hub_model("tiny-onnx") is None
    made.convert(Precision.INT8)  # reported, and judged by whoever reads it
    assert precisions_of(made.folder.path) == ("int8",)


def test_a_name_that_is_another_models_is_not_taken(home: Home, checkpoint: Path) -> None:
    made = Conversion(home, checkpoint)
    made.folder.root.mkdir(parents=True)
    other = HubModel(schema_version=1, title="t", repository="lab/other")
    made.folder.profile.write_bytes(msgspec.toml.encode(other))
    with pytest.raises(Problem, match=r"is another model's: choose another name \(--name\)"):
        made.folder.must_be_for("sha")
    made.folder.profile.unlink()
    made.begin()
    made.convert(Precision.FP32)
    sha256 = read_reference(made.run)[0].sha256
    made.folder.must_be_for(sha256)
    with pytest.raises(Problem, match="holds files of another checkpoint"):
        made.folder.must_be_for("0" * 64)
    assert read_toml(made.folder.profile, HubModel).note == f"ONNX files of {checkpoint.name}"


def test_what_cannot_be_converted_is_said_before_torch_is_loaded(
    home: Home, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match="model_type = 'qwen2_vl'"):
        Conversion(home, build_qwen2_vl(tmp_path / "qwen")).begin()
    ready = tmp_path / "ready"
    with pytest.raises(Problem, match="names ONNX files already"):
        Conversion(Home(ready), Path("smolvlm-256m-onnx")).begin()
    files = tmp_path / "onnx-files"
    convert_vlm.export(checkpoint, files, "q4")
    with pytest.raises(Problem, match="its ONNX files are there"):
        Conversion(Home(tmp_path / "other"), files).begin()


def test_the_command_line_tells_checkpoints_from_detectors(
    lab: Lab, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgelab.lab.start_supervisor", lambda _: None)
    assert command_line(["convert", str(checkpoint), "--precision", "q4", "--detach"]) == 0
    assert command_line(["convert", "owner/Some-VLM.v1", "--detach"]) == 0
    first, second = (folder.read_spec().settings for folder in lab.active())
    assert isinstance(first, ConvertVlmSettings)
    assert (first.model, first.precisions) == (str(checkpoint), (Precision.Q4,))
    assert first.name == "torch-converted"
    assert isinstance(second, ConvertVlmSettings)
    assert second.precisions == (Precision.FP32, Precision.INT8, Precision.Q4)
    capsys.readouterr()
    assert command_line(["convert", "smolvlm-256m", "--image-size", "64"]) == 2
    assert "--image-size: smolvlm-256m is no detector" in capsys.readouterr().err
    assert command_line(["convert", "yolov8n-shapes", "--precision", "q4"]) == 2
    assert "q4 is for vision-language models" in capsys.readouterr().err


def test_the_console_converts_to_the_chosen_precisions_that_files_have() -> None:
    asked = AskSettings(
        model="smolvlm-256m", dataset="shapes", threads=3,
        precisions=(Precision.BF16, Precision.INT8, Precision.NF4, Precision.Q4),
    )  # fmt: skip
    made = vlm_conversion(asked)
    assert made.precisions == (Precision.INT8, Precision.Q4)
    assert (made.name, made.threads) == ("smolvlm-256m-converted", 3)
    with pytest.raises(Problem, match="made in fp32, fp16, int8, q4: choose one"):
        vlm_conversion(msgspec.structs.replace(asked, precisions=(Precision.NF4,)))
    assert vlm_name("owner/SmolVLM2-2.2B") == "SmolVLM2-2.2B-converted"


@given(
    st.integers(1, 50), st.integers(0, 50), st.floats(0, 1), st.integers(0, 3), st.integers(0, 3)
)
def test_only_fp32_must_be_the_same_model(
    tokens: int, same: int, error: float, prompts: int, not_finite: int
) -> None:
    same = min(same, tokens)
    found = Examination(4, prompts, not_finite, TokenCheck(tokens, same, error / 2, error))
    broken = bool(prompts or not_finite)
    for precision in VLM_FILE_PRECISIONS:
        other = precision is Precision.FP32 and (error > FP32_ERROR or same < tokens)
        assert (found.refusal(precision) is not None) == (broken or other)


def test_a_reference_that_was_cut_is_named(home: Home, checkpoint: Path) -> None:
    made = Conversion(home, checkpoint)
    made.begin()
    file = made.run.artifacts / "reference.npy"
    rows = np.load(file)
    np.save(file, rows[:-1])
    with pytest.raises(Problem, match=r"reference\.npy: \d+ rows of logits for"):
        made.convert(Precision.FP32)
    file.write_bytes(b"no array")
    with pytest.raises(Problem, match=r"reference\.npy: cannot be read"):
        made.convert(Precision.FP32)
