"""The doctor refuses what is broken, accepts what is right, and says where it hurts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgelab.conversion import ConversionReport
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import Converted
from edgelab.settings.common import Precision
from edgelab.settings.convert import Activations
from runners.conversion import (
    CHECKED_IMAGES,
    CHECKED_ON_EVALUATED,
    Converter,
    Pool,
    Refused,
    Wishes,
)
from runners.letterbox import Letterbox
from runners.model_file import precision_named, read_model
from runners.node_errors import node_errors
from runners.quantisation_doctor import Examination, examine
from runners.quantise import CalibrationImages, to_half, to_integer
from tests.runners.colour_detector import build_detector, some_cells, write_cells
from tests.runners.conftest import NewRun

SIDE = 640


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    return [
        write_cells(folder / f"{seed}.png", some_cells(seed, 50, SIDE), SIDE) for seed in range(6)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_detector(tmp_path_factory.mktemp("model") / "colours.onnx", SIDE)


def look(model: Path, outcome: Path, images: list[Path]) -> Examination:
    return examine(read_model(model, "colours", None), outcome, images, 1, lambda _: None)


def save(model: Any, path: Path) -> Path:
    onnx.save(model, path)
    return path


def test_the_naive_int8_is_refused_and_the_right_one_accepted(
    model: Path, images: list[Path], tmp_path: Path
) -> None:
    naive = tmp_path / "naive.onnx"
    quantize_static(
        str(model),
        str(naive),
        CalibrationImages("images", Letterbox((SIDE, SIDE)), images[:2], lambda _: None),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    refused = look(model, naive, images[2:4])
    reason = refused.refusal(Precision.INT8)
    assert reason is not None
    assert "counts collapse: at 0.3 it finds 0 objects where the source finds 100" in reason
    assert refused.outcome_score == 0

    made = to_integer(onnx.load(model), (SIDE, SIDE), images[:2], lambda _: None)
    accepted = look(model, save(made.model, tmp_path / "right.onnx"), images[2:4])
    assert accepted.refusal(Precision.INT8) is None
    assert [(check.source, check.changed) for check in accepted.counts] == [(100, 0)] * 3
    assert accepted.executed.integer
    assert accepted.checked == 2


def test_a_copy_of_the_source_is_no_int8(model: Path, images: list[Path], tmp_path: Path) -> None:
    found = look(model, shutil.copy(model, tmp_path / "int8.onnx"), images[:1])
    assert found.refusal(Precision.INT8) == "nothing runs in integers: it runs as 100% fp32"
    assert found.refusal(Precision.FP16) is None
    assert all(node.error == 0 for node in found.nodes)


def test_numbers_that_are_none_are_refused(model: Path, images: list[Path], tmp_path: Path) -> None:
    broken = onnx.load(model)
    weights = next(each for each in broken.graph.initializer if each.name == "class_bias")
    weights.CopyFrom(numpy_helper.from_array(np.full(3, np.nan, np.float32), "class_bias"))
    found = look(model, save(broken, tmp_path / "broken.onnx"), images[:2])
    reason = found.refusal(Precision.FP16)
    assert reason == "gives numbers that are none on 2 of 2 images"


def test_the_node_that_was_damaged_is_named_first(
    model: Path, images: list[Path], tmp_path: Path
) -> None:
    damaged = onnx.load(model)
    weights = next(each for each in damaged.graph.initializer if each.name == "same")
    weights.CopyFrom(numpy_helper.from_array(0.9 * numpy_helper.to_array(weights), "same"))
    worst = look(model, save(damaged, tmp_path / "damaged.onnx"), images[:1]).nodes[0]
    assert (worst.name, worst.kind) == ("features", "Conv")
    assert worst.error == pytest.approx(0.1, abs=1e-3)
    assert worst.added == worst.error


def test_half_precision_is_compared_node_by_node_too(
    model: Path, images: list[Path], tmp_path: Path
) -> None:
    found = look(model, save(to_half(onnx.load(model)), tmp_path / "half.onnx"), images[:1])
    assert found.refusal(Precision.FP16) is None
    assert 0 < max(node.error for node in found.nodes) < 0.01


class Tensors(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, tensors: list[Any]) -> None:
        self._left = list(tensors)

    def get_next(self) -> dict[str, Any] | None:
        return {"x": self._left.pop()} if self._left else None


def test_a_relu_that_the_quantiser_leaves_out_is_read_behind_its_bits(tmp_path: Path) -> None:
    """The tensor that has its name then is the one before it, negative numbers and all."""
    noise = np.random.default_rng(3)
    source, outcome = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    weights = {name: noise.normal(size=(8, 8, 3, 3)).astype(np.float32) for name in ("a", "b")}
    image = noise.normal(size=(1, 8, 6, 6)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["first"], name="first"),
        helper.make_node("Relu", ["first"], ["cut"], name="cut"),
        helper.make_node("Conv", ["cut", "b"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "relu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 8, 2, 2))],
        [numpy_helper.from_array(each, name) for name, each in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(made, source)
    quantize_static(
        str(source), str(outcome), Tensors([image]), quant_format=QuantFormat.QDQ,
        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    assert "Relu" not in {node.op_type for node in onnx.load(outcome).graph.node}
    errors = {each.name: each.error for each in node_errors(source, outcome, [image])}
    assert set(errors) == {"cut"}
    assert 0 < errors["cut"] < 0.3, "before its bits it is off by 1, and more"


def test_objects_that_appear_from_nowhere_are_refused(
    model: Path, images: list[Path], tmp_path: Path
) -> None:
    """The published fault: the FP16 file counts almost twice as much as the FP32 one."""
    generous = onnx.load(model)
    weights = next(each for each in generous.graph.initializer if each.name == "class_bias")
    weights.CopyFrom(numpy_helper.from_array(np.full(3, 9, np.float32), "class_bias"))
    found = look(model, save(generous, tmp_path / "generous.onnx"), images[:1])
    assert "counts collapse" in (found.refusal(Precision.FP16) or "")


def test_images_that_cannot_be_read_are_left_out(model: Path, images: list[Path]) -> None:
    found = look(model, model, [Path("/nowhere.png"), images[0]])
    assert found.checked == 1
    assert look(model, model, []).remarks() == ("no image to check it on",)


@given(st.integers(0, 400), st.integers(1, 200))
def test_no_image_both_calibrates_and_checks(images: int, calibrate: int) -> None:
    paths = [Path(str(number)) for number in range(images)]
    pool = Pool.of(paths, calibrate)
    assert not set(pool.calibrate) & set(pool.check)
    assert set(pool.calibrate) | set(pool.check) <= set(paths)
    assert len(pool.calibrate) <= calibrate
    assert len(pool.check) <= CHECKED_IMAGES
    assert bool(pool.check) == (images > 1)
    assert bool(pool.calibrate) == (images > 0)


@pytest.mark.parametrize(
    ("stem", "named"),
    [
        ("yolov8n_fp16", Precision.FP16),
        ("Model.INT8", Precision.INT8),
        ("halfway", None),
        ("yolov8n", None),
        ("fp32-to-int8", None),
    ],
)
def test_the_precision_in_a_name(stem: str, named: Precision | None) -> None:
    assert precision_named(stem) is named


def test_a_file_named_fp16_that_holds_fp32_is_unmasked(model: Path, tmp_path: Path) -> None:
    masked = read_model(shutil.copy(model, tmp_path / "yolov8n_fp16.onnx"), "yolov8n", None)
    assert masked.held is Precision.FP32
    assert masked.contradiction == "yolov8n_fp16.onnx: named fp16, but it holds fp32 weights"
    assert read_model(model, "colours", None).contradiction is None


class TestConverter:
    """The doctor in a run: what it refuses becomes a problem of that precision alone."""

    @pytest.fixture
    def converter(
        self, new_run: NewRun, home: Home, tmp_path: Path, images: list[Path]
    ) -> Converter:
        from runners.step import RunningStep

        self.run = new_run(model="m", dataset="d")
        self.step = RunningStep(self.run.folder, "prepare")
        model = read_model(build_detector(tmp_path / "colours.onnx", SIDE), "colours", None)
        return Converter(self.step, home, model, Wishes(), lambda: Pool.of(images, 100))

    def reports(self) -> list[ConversionReport]:
        return [event.report for event in self.run.events(Converted)]  # type: ignore[attr-defined]

    def test_both_kinds_of_activations_are_tried_and_the_faster_is_kept(
        self, converter: Converter
    ) -> None:
        models, problems = converter.convert_all([Precision.INT8, Precision.FP32])
        assert not problems
        (report,) = self.reports()
        assert report.refusal is None
        assert {trial.activations for trial in report.trials} == {Activations.U8, Activations.S8}
        # On processors without instructions for signed ones, nothing would run in integers.
        refused = "but refused: nothing runs in integers" in "".join(report.remarks)
        assert report.activations is report.trials[int(refused)].activations
        assert report.trials[0].outcome_ms <= report.trials[1].outcome_ms
        assert (report.calibrated, report.checked) == (5, 1)
        assert models[Precision.INT8].path.is_file()
        assert models[Precision.FP32].report is None

    def test_a_refusal_leaves_the_other_precisions_alone(
        self, converter: Converter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("runners.quantise.float_nodes", lambda _graph: [])
        models, problems = converter.convert_all([Precision.INT8, Precision.FP16])
        assert list(models) == [Precision.FP16]
        assert "int8 refused by the quantisation doctor" in problems[Precision.INT8]
        refused, accepted = self.reports()
        assert refused.verdict.startswith("refused: ")
        assert accepted.verdict == "accepted"
        with pytest.raises(Problem, match="refused"):
            converter.convert_all([Precision.INT8])

    def test_the_report_is_whole_on_disk_and_readable(self, converter: Converter) -> None:
        converter.convert(Precision.INT8)
        (report,) = self.reports()
        again = msgspec.json.decode(msgspec.json.encode(report), type=ConversionReport)
        assert again == report
        text = report.text()
        for words in ("verdict", "accepted", "activations", "found at 0.5", "made from"):
            assert words in text

    def test_where_the_held_out_images_tell_nothing_others_are_looked_at(
        self, converter: Converter, images: list[Path], tmp_path: Path
    ) -> None:
        """Calibrated on images without an object, INT8 finds none: the empty ones cannot tell."""
        empty = tuple(write_cells(tmp_path / f"e{n}.png", {}, SIDE) for n in range(3))
        converter._open_pool = lambda: Pool(empty[:2], empty[2:], spare=tuple(images[:2]))
        with pytest.raises(Refused, match=r"counts collapse: at 0\.3 it finds 0 objects"):
            converter.convert(Precision.INT8)
        converter.convert(Precision.FP16)
        refused, accepted = self.reports()
        assert CHECKED_ON_EVALUATED in refused.remarks
        assert accepted.refusal is None
        assert accepted.counts[0].source == 100
