"""FP16 and INT8 files: what they detect, what they execute, how they are kept."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from edgelab.conversion import REPORT_VERSION, ConversionReport
from edgelab.problem import Problem
from edgelab.settings.common import Precision
from edgelab.settings.convert import Activations, Calibration
from runners.converted import ConvertedModels, Recipe, Sidecar
from runners.detections import Selection
from runners.detector import Detector
from runners.expectation import speed_up_expectations
from runners.images import read_image
from runners.letterbox import Letterbox
from runners.precision import count_formats, prove_executed
from runners.quantise import (
    CalibrationImages,
    decoding_nodes,
    float_nodes,
    fold,
    to_half,
    to_integer,
)
from runners.session import open_session, session_options
from tests.runners.colour_detector import build_detector, some_cells, write_cells

SIZE = (64, 64)
INTEGERS = {Activations.U8: QuantType.QUInt8, Activations.S8: QuantType.QInt8}
METHODS = {
    Calibration.MINMAX: CalibrationMethod.MinMax,
    Calibration.ENTROPY: CalibrationMethod.Entropy,
    Calibration.PERCENTILE: CalibrationMethod.Percentile,
}
NO_IMAGE = Path("/nowhere.png")
QUANTISING = -1


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    return [write_cells(folder / f"{seed}.png", some_cells(seed, 12)) for seed in range(12)]


def counts(model: Path, images: list[Path], size: tuple[int, int] = SIZE) -> list[Counter[int]]:
    detector = Detector(model, size, Selection(0.05, 0.7), threads=1)
    return [detector(read_image(path)).counts(0.5) for path in images]


def quantised(
    model: Path, images: list[Path], size: tuple[int, int] = SIZE, **choices: Any
) -> Path:
    done: list[int] = []
    quantise = partial(done.append, QUANTISING)
    made = to_integer(onnx.load(model), size, images, done.append, on_quantise=quantise, **choices)
    assert done == [*range(1, len(images) + 1), QUANTISING]
    target = model.with_name("int8.onnx")
    onnx.save(made.model, target)
    return target


@pytest.mark.parametrize("method", list(Calibration))
@pytest.mark.parametrize("activations", [Activations.U8, Activations.S8])
def test_int8_detects_what_fp32_detects(
    colour_model: Path, images: list[Path], method: Calibration, activations: Activations
) -> None:
    integer = quantised(colour_model, images[:6], method=method, activations=activations)
    assert counts(integer, images[6:]) == counts(colour_model, images[6:])
    assert all(sum(count.values()) == 12 for count in counts(integer, images[6:]))


def report_of(source: Path, outcome: Path) -> ConversionReport:
    data = outcome.read_bytes()
    return ConversionReport(
        version=REPORT_VERSION,
        model=source.stem,
        precision=Precision.FP16,
        source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        source_bytes=source.stat().st_size,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        input_size=SIZE,
        runtime="a runtime",
        cpu="a processor",
        threads=1,
        executed=prove_executed(outcome),
    )


def test_int8_is_executed_in_integers(colour_model: Path, images: list[Path]) -> None:
    full = prove_executed(colour_model)
    integer = prove_executed(quantised(colour_model, images[:6]))
    assert full.words == "100% fp32"
    # The convolution between the first and the last, and the SiLU before it.
    assert integer.integer >= 2
    assert integer.full < full.full + 4  # the expected value is four nodes more
    assert integer.weights["int8"] > 0
    assert set(full.weights) == {"float32", "int64"}


@pytest.mark.parametrize("method", list(Calibration))
def test_int8_is_what_the_runtimes_own_quantiser_makes(
    colour_model: Path, images: list[Path], method: Calibration, tmp_path: Path
) -> None:
    """The portions in which ranges are found leave no trace, and signed activations are those that
    it makes: the files are those of `quantize_static`, an image at a time, one after the other."""
    folded, theirs = tmp_path / "folded.onnx", tmp_path / "theirs.onnx"
    fold(onnx.load(colour_model), folded)
    for activations, integers in INTEGERS.items():
        quantize_static(
            str(folded),
            str(theirs),
            CalibrationImages("images", Letterbox(SIZE), images, lambda _: None),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=integers,
            weight_type=QuantType.QInt8,
            calibrate_method=METHODS[method],
            nodes_to_exclude=float_nodes(onnx.load(folded).graph),
            extra_options={
                "CalibStridedMinMax": 1, "CalibPercentile": 99.999,
                "CalibTensorRangeSymmetric": False,
            },
        )  # fmt: skip
        expected = onnx.load(theirs)
        speed_up_expectations(expected)
        made = to_integer(
            onnx.load(colour_model), SIZE, images, lambda _: None,
            activations=activations, method=method,
        ).model  # fmt: skip
        assert list(made.graph.node) == list(expected.graph.node)
        assert constants(made) == constants(expected)


def constants(model: Any) -> dict[str, tuple[str, bytes]]:
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    return {name: (str(array.dtype), array.tobytes()) for name, array in arrays.items()}


def test_int8_over_the_whole_graph_finds_nothing(tmp_path: Path) -> None:
    """The fault that decoding in float avoids: 640 px and scores up to 1 share one 8-bit scale."""
    side = 640
    size = (side, side)
    model = build_detector(tmp_path / "fp32.onnx", side)
    images = [
        write_cells(tmp_path / f"{seed}.png", some_cells(seed, 50, side), side) for seed in range(4)
    ]
    naive = tmp_path / "naive.onnx"
    quantize_static(
        str(model),
        str(naive),
        CalibrationImages("images", Letterbox(size), images[:2], lambda _: None),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    truth = counts(model, images[2:], size)
    assert [sum(count.values()) for count in truth] == [50, 50]
    assert counts(quantised(model, images[:2], size), images[2:], size) == truth
    assert counts(naive, images[2:], size) == [{}, {}]


def test_fp16_detects_alike_in_half_the_size(colour_model: Path, images: list[Path]) -> None:
    half = colour_model.with_name("half.onnx")
    onnx.save(to_half(onnx.load(colour_model)), half)
    assert counts(half, images) == counts(colour_model, images)
    stored = [tensor.data_type for tensor in onnx.load(half).graph.initializer]
    assert TensorProto.FLOAT not in stored
    assert TensorProto.FLOAT16 in stored


def test_decoding_is_found_without_the_help_of_names(colour_model: Path) -> None:
    graph = onnx.load(colour_model).graph
    for index, node in enumerate(graph.node):
        node.name = str(index)
    chosen = set(decoding_nodes(graph))
    kinds = Counter(node.op_type for node in graph.node if node.name in chosen)
    assert kinds["Conv"] == 1  # the expected value of the focal loss is decoding
    assert kinds["Sigmoid"] == 1  # that of the scores, not that of the SiLU
    assert {"Softmax", "Concat", "Split", "Sub", "Div"} <= set(kinds)


def test_unreadable_calibration_images_are_left_out(colour_model: Path, images: list[Path]) -> None:
    done: list[int] = []
    to_integer(onnx.load(colour_model), SIZE, [NO_IMAGE, images[0]], done.append)
    assert done == [1]


def test_int8_needs_images(colour_model: Path) -> None:
    with pytest.raises(Problem, match="none of them could be read"):
        to_integer(onnx.load(colour_model), SIZE, [NO_IMAGE], lambda _: None)


def test_expected_values_are_computed_alike_by_one_convolution(
    colour_model: Path, images: list[Path]
) -> None:
    model = onnx.load(colour_model)
    assert speed_up_expectations(model) == 1
    onnx.checker.check_model(model, full_check=True)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Softmax"] == 0
    assert kinds["Exp"] == 1
    target = colour_model.with_name("faster.onnx")
    onnx.save(model, target)
    selection = Selection(0.05, 0.7)
    before, after = (Detector(path, SIZE, selection, 1) for path in (colour_model, target))
    for path in images:
        tensor, _ = before.preprocess(read_image(path))
        np.testing.assert_allclose(
            after.infer(tensor)[0], before.infer(tensor)[0], rtol=1e-5, atol=1e-4
        )
    assert speed_up_expectations(model) == 0


@pytest.mark.parametrize("opset", [17, 18])
def test_expected_values_do_not_overflow(tmp_path: Path, opset: int) -> None:
    """Scores of 1000: a power of e that float32 does not know."""
    nodes = [
        helper.make_node("Softmax", ["x"], ["shares"], axis=1),
        helper.make_node("Conv", ["shares", "bins"], ["y"]),
    ]
    bins = helper.make_tensor("bins", TensorProto.FLOAT, [1, 4, 1, 1], [0.0, 1.0, 2.0, 3.0])
    shapes = {"x": [1, 4, 2, 3], "y": [1, 1, 2, 3]}
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [bins]),
        opset_imports=[helper.make_opsetid("", opset)],
    )
    model.ir_version = 8
    assert speed_up_expectations(model) == 1
    path = tmp_path / "expectation.onnx"
    onnx.save(model, path)
    scores = np.full((1, 4, 2, 3), -1000, np.float32)
    scores[0, 2] = 1000
    (found,) = open_session(path, session_options(1)).run(None, {"x": scores})
    np.testing.assert_array_equal(found, np.full((1, 1, 2, 3), 2, np.float32))


def test_formats_are_counted_through_subgraphs_and_the_runtime_s_own_operators() -> None:
    def value(name: str, kind: int) -> Any:
        return helper.make_tensor_value_info(name, kind, [1])

    inner = helper.make_graph(
        [helper.make_node("Relu", ["half"], ["inner"])],
        "i",
        [],
        [value("inner", TensorProto.FLOAT16)],
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], domain="com.microsoft.nchwc"),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["q"]),
        helper.make_node("QLinearSigmoid", ["q", "s", "z"], ["r"], domain="com.microsoft"),
        helper.make_node("Reshape", ["r", "shape"], ["moved"]),
        helper.make_node("DequantizeLinear", ["moved", "s", "z"], ["b"]),
        helper.make_node("Cast", ["b"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Sqrt", ["half"], ["root"]),
        helper.make_node("Shape", ["b"], ["indices"]),
        helper.make_node("Mul", ["indices", "indices"], ["squares"]),
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
    ]
    weights = [
        helper.make_tensor("w", TensorProto.FLOAT, [2], [0.0, 0.0]),
        helper.make_tensor("s", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("z", TensorProto.UINT8, [], [0]),
        helper.make_tensor("shape", TensorProto.INT64, [1], [1]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT), value("c", TensorProto.BOOL)],
        [value("y", TensorProto.FLOAT16)],
        weights,
    )
    found = count_formats(graph)
    assert (found.full, found.integer, found.casts, found.quantize) == (1, 1, 1, 2)
    assert found.half == 4  # the root, the branching, and the node in each branch
    assert found.weights == {"float32": 12, "int64": 8, "uint8": 1}


class TestCache:
    @pytest.fixture
    def recipe(self, colour_model: Path) -> Recipe:
        sha256 = hashlib.sha256(colour_model.read_bytes()).hexdigest()
        return Recipe(sha256, Precision.FP16, SIZE)

    def make(
        self,
        cache: ConvertedModels,
        recipe: Recipe,
        model: Path,
        made: list[int],
        refusal: str | None = None,
    ) -> Path:
        def convert(target: Path) -> ConversionReport:
            made.append(1)
            onnx.save(to_half(onnx.load(model)), target)
            return replace(report_of(model, target), refusal=refusal)

        return cache.get(recipe, convert).path

    def test_a_second_run_finds_the_first_one_s_file(
        self, tmp_path: Path, recipe: Recipe, colour_model: Path
    ) -> None:
        made: list[int] = []
        cache = ConvertedModels(tmp_path / "converted")
        first = self.make(cache, recipe, colour_model, made)
        assert self.make(cache, recipe, colour_model, made) == first
        assert made == [1]
        sidecar = msgspec.json.decode(first.with_suffix(".json").read_bytes(), type=Sidecar)
        assert sidecar.recipe == recipe
        assert sidecar.report.size_bytes == first.stat().st_size

    def test_of_a_refused_model_only_the_report_is_kept(
        self, tmp_path: Path, recipe: Recipe, colour_model: Path
    ) -> None:
        made: list[int] = []
        cache = ConvertedModels(tmp_path / "converted")
        for _ in range(2):
            path = self.make(cache, recipe, colour_model, made, refusal="counts collapse")
        assert made == [1]
        assert not path.exists()
        sidecar = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Sidecar)
        assert sidecar.report.refusal == "counts collapse"

    @pytest.mark.parametrize("suffix", [".onnx", ".json"])
    @pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
    def test_a_damaged_entry_is_made_anew(
        self, tmp_path: Path, recipe: Recipe, colour_model: Path, suffix: str, damage: str
    ) -> None:
        made: list[int] = []
        cache = ConvertedModels(tmp_path / "converted")
        first = self.make(cache, recipe, colour_model, made)
        whole = first.read_bytes()
        victim = first.with_suffix(suffix)
        data = victim.read_bytes()
        if damage == "gone":
            victim.unlink()
        else:
            victim.write_bytes(data[:-9] if damage == "cut" else data.replace(b"0", b"1"))
        assert self.make(cache, recipe, colour_model, made).read_bytes() == whole
        assert made == [1, 1]

    def test_everything_a_conversion_depends_on_is_in_the_key(self, recipe: Recipe) -> None:
        others = [
            msgspec.structs.replace(recipe, **change)
            for change in (
                {"source_sha256": "0" * 64},
                {"precision": Precision.INT8},
                {"input_size": (32, 32)},
                {"calibration_sha256": "1" * 64},
                {"calibration_images": 5},
                {"calibration": Calibration.ENTROPY},
                {"activations": Activations.S8},
                {"machine": "another"},
                {"method": 99},
                {"runtime": "another"},
            )
        ]
        assert len({recipe.key, *(other.key for other in others)}) == 11
