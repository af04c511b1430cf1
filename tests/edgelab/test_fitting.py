"""Fits, tight or no, with the reason; what was measured corrects what is expected."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgelab.calibration import Resource
from edgelab.cli import run as command_line
from edgelab.fitting import (
    Board,
    ask_fit,
    fits,
    least_question_s,
    model_folder,
    refuse_what_does_not_fit,
)
from edgelab.forecast import Fit
from edgelab.home import Home
from edgelab.hub_folder import WHOLE
from edgelab.lab import Lab
from edgelab.pace import pace_of
from edgelab.problem import Problem
from edgelab.record import RECORD_VERSION, PassSummary, RunRecord
from edgelab.records import Outcome
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.settings.convert_vlm import ConvertVlmSettings
from edgelab.settings.finetune import BasePrecision, FinetuneSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.tally import LatencyFigures
from edgelab.vlm_memory import QUESTION_TOKENS
from tests.edgelab.test_roofline import calibration, rate
from tests.edgelab.test_vlm_memory import NARROW, VOCABULARY, WIDE, checkpoint

GB = 1_000_000_000
COMMIT = "a" * 40


@pytest.fixture
def settings(tmp_path: Path) -> AskSettings:
    return AskSettings(model=str(checkpoint(tmp_path / "tiny")), dataset="shapes")


def past(settings: AskSettings, measured: int, expected: int, **others: object) -> RunRecord:
    """A run that is over, of one pass in FP32."""
    spec = RunSpec(SPEC_VERSION, "0123abcd", 1, "t", 0.0, settings)
    summary = PassSummary(
        Precision.FP32, Outcome.FINISHED, peak_memory_bytes=measured, forecast_bytes=expected,
        runtime="torch 2", **others,  # type: ignore[arg-type]
    )  # fmt: skip
    return RunRecord(RECORD_VERSION, spec, Outcome.FINISHED, passes=(summary,))


@pytest.mark.parametrize(
    ("free", "fit"), [(10 * GB, Fit.FITS), (GB, Fit.TIGHT), (GB // 2, Fit.NO), (None, Fit.UNKNOWN)]
)
def test_the_word_follows_from_free_memory(
    settings: AskSettings, home: Home, free: int | None, fit: Fit
) -> None:
    found = fits(settings, home, Board(free))[Precision.FP32]
    assert found.fit is fit
    assert found.source.startswith("estimated: libraries 808 MB")


def test_pages_that_the_kernel_can_drop_make_it_tight_not_impossible(
    settings: AskSettings, home: Home
) -> None:
    found = fits(settings, home, Board(10 * GB))[Precision.FP32]
    assert found.needed_bytes < found.peak_bytes or found.least == found.peak_bytes
    assert fits(settings, home, Board(found.needed_bytes))[Precision.FP32].fit is Fit.TIGHT


def test_the_same_run_measured_before_is_believed(settings: AskSettings, home: Home) -> None:
    record = past(settings, 2 * GB, GB)
    found = ask_fit(settings, Precision.FP32, home, Board(3 * GB, [record]))
    assert found is not None
    assert (found.peak_bytes, found.source) == (2 * GB, "measured in an earlier run")


def test_other_models_are_corrected_by_how_far_off_it_was(
    settings: AskSettings, home: Home
) -> None:
    plain = ask_fit(settings, Precision.FP32, home, Board(None))
    other = msgspec.structs.replace(settings, model="another")
    corrected = ask_fit(settings, Precision.FP32, home, Board(None, [past(other, 1100, 1000)]))
    assert plain is not None
    assert corrected is not None
    assert corrected.peak_bytes == pytest.approx(1.1 * plain.peak_bytes, rel=1e-6)
    assert "corrected by 1 earlier pass" in corrected.source
    smaller = past(other, 1000, 1000, libraries_bytes=300_000_000)
    with_libraries = ask_fit(settings, Precision.FP32, home, Board(None, [smaller]))
    assert with_libraries is not None
    assert with_libraries.peak_bytes == plain.peak_bytes - 508_000_000


def test_no_is_refused_in_one_line_that_says_what_would_do(
    settings: AskSettings, home: Home
) -> None:
    tight = msgspec.structs.replace(settings, precisions=(Precision.FP32,))
    refuse_what_does_not_fit([tight], home, Board(GB))
    with pytest.raises(Problem) as problem:
        refuse_what_does_not_fit([tight], home, Board(100))
    assert " in fp32: needs 8" in str(problem.value)
    assert str(problem.value).endswith("MB are free: --force runs it anyway")
    before = past(settings, 2 * GB, GB)
    with pytest.raises(Problem, match="--precision bf16 would fit; --force"):
        refuse_what_does_not_fit([settings], home, Board(GB, [before]))


@pytest.mark.parametrize(("measured", "expected", "said"), [
    (498_000_000, 512_000_000, "forecast 512 MB, measured 498 MB, -3 %"),
    (498_000_000, None, "498 MB"),
    (None, 512_000_000, "forecast 512 MB"),
    (None, None, ""),
])  # fmt: skip
def test_the_forecast_stands_beside_what_was_measured(
    measured: int | None, expected: int | None, said: str
) -> None:
    summary = PassSummary(
        Precision.FP32, Outcome.FINISHED, peak_memory_bytes=measured, forecast_bytes=expected
    )
    assert summary.memory_words == said


def test_a_conversion_is_refused_where_torch_cannot_answer_first(
    settings: AskSettings, home: Home
) -> None:
    made = ConvertVlmSettings(model=settings.model, name="tiny-onnx")
    assert fits(made, home, Board(GB))[Precision.FP32].fit is Fit.UNKNOWN
    with pytest.raises(Problem, match="at least, to answer with torch"):
        refuse_what_does_not_fit([made], home, Board(100))


def test_a_model_that_is_not_here_is_not_known(home: Home) -> None:
    settings = AskSettings(model="lab/tiny", dataset="shapes")
    found = fits(settings, home, Board(GB))[Precision.FP32]
    assert (found.fit, found.source) == (Fit.UNKNOWN, "not on this board yet")
    (home.hub / "lab--tiny").mkdir(parents=True)
    folder = checkpoint(home.hub / "lab--tiny" / COMMIT)
    assert model_folder("lab/tiny", COMMIT, home) is None  # not whole yet
    (folder / WHOLE).touch()
    assert model_folder("lab/tiny", COMMIT, home) == folder


def test_a_fine_tuning_is_refused_where_its_base_cannot_be_loaded(
    settings: AskSettings, home: Home
) -> None:
    tuned = FinetuneSettings(model=settings.model, dataset="charts", precision=BasePrecision.NF4)
    assert fits(tuned, home, Board(GB))[Precision.NF4].fit is Fit.UNKNOWN
    with pytest.raises(Problem, match="at least, to load the base"):
        refuse_what_does_not_fit([tuned], home, Board(100))


def test_the_command_line_refuses_and_lists(
    settings: AskSettings, lab: Lab, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("edgelab.telemetry.Board.memory_available", lambda _: 1000)
    asked = ["run", "ask", "--model", settings.model, "--dataset", "shapes", "--detach"]
    assert command_line(asked) == 2
    assert "needs 8" in capsys.readouterr().err
    assert lab.runs() == []
    monkeypatch.setattr("edgelab.lab.start_supervisor", lambda _: None)
    assert command_line([*asked, "--force"]) == 0

    profiles = lab.home.profiles / "hub"
    profiles.mkdir(parents=True)
    profile = f'schema_version = 1\ntitle = "Tiny"\nrepository = "{settings.model}"\n'
    (profiles / "tiny.toml").write_text(profile)
    capsys.readouterr()
    assert command_line(["models", "--json"]) == 0
    listed = {each["name"]: each for each in msgspec.json.decode(capsys.readouterr().out)}
    assert listed["tiny"]["fit"].startswith("no fp32, fp16, int8")
    assert listed["paligemma-3b-pt-448"]["weights"].startswith("not on this board yet")


def test_the_least_time_is_arithmetic_and_bandwidth(settings: AskSettings, home: Home) -> None:
    board = calibration(rate(Resource.FP32, 2, 1e6), rate(Resource.MEMORY, 2, 1e6))
    found = least_question_s(settings, Precision.FP32, home, board)
    vision = WIDE * NARROW * 64  # one matrix, 64 patches
    language = (WIDE + 2 * 16) * NARROW
    prompt = 16 + 5 + QUESTION_TOKENS
    bytes_read = 4 * (language + VOCABULARY * NARROW)
    assert found == pytest.approx((2 * (vision + language * prompt) + 15 * bytes_read) / 1e6)
    rounded = least_question_s(settings, Precision.NF4, home, board)
    assert rounded is not None
    assert rounded < found
    assert least_question_s(settings, Precision.FP32, home, calibration()) is None
    assert least_question_s(settings, Precision.Q4, home, board) is None


def test_the_least_time_without_torch_is_reading_the_files(
    settings: AskSettings, home: Home
) -> None:
    board = calibration(rate(Resource.MEMORY, 2, 1e6))
    files = Path(settings.model) / "onnx"
    files.mkdir()
    for part, size in (("vision_encoder", 300), ("embed_tokens", 9000),
                       ("decoder_model_merged", 100)):  # fmt: skip
        (files / f"{part}_q4.onnx").write_bytes(bytes(size))
    found = least_question_s(settings, Precision.Q4, home, board)
    assert found == pytest.approx((300 + 16 * 100) / 1e6)
    assert least_question_s(settings, Precision.FP32, home, board) is None


def test_the_time_told_is_the_newest_measured_else_the_floor(settings: AskSettings) -> None:
    def run(p50_ms: float, outcome: Outcome = Outcome.FINISHED) -> RunRecord:
        record = past(settings, GB, GB)
        latency = LatencyFigures(20, p50_ms=p50_ms)
        summary = msgspec.structs.replace(record.passes[0], outcome=outcome, latency=latency)
        return msgspec.structs.replace(record, passes=(summary,))

    precisions = (Precision.FP32, Precision.INT8)
    newest_first = [run(900.0, Outcome.KILLED), run(23.14), run(50.0)]
    found = pace_of(settings.model, precisions, newest_first, lambda _: 0.8)
    assert found.words == "fp32 23.1 ms; at least int8 800 ms"
    assert found.document() == {"measured": {"fp32": 23.14}, "least": {"int8": 800.0}}
    assert pace_of("another", precisions, newest_first).words == "–"
