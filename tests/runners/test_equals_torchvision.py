"""The same detections as torchvision's own SSDLite, on images of several proportions.

The weights are random (none may be downloaded). Batch normalisation is fitted to the images and the
heads are spread out, so that many anchors pass the thresholds and suppression has work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from edgelab.catalogue import shipped_profiles
from edgelab.settings.common import Precision
from runners.datasets import shapes
from runners.detections import Detections, Selection
from runners.detector import Detector
from runners.images import read_image
from runners.model_file import load_graph, read_model
from runners.precision import prove_executed
from runners.quantise import to_half, to_integer
from runners.ssdlite import Stretch

pytest.importorskip("torchvision")

CLASSES = ("circle", "triangle", "square", "pentagon", "star")
SIZES = ((192, 192), (240, 130), (97, 331), (320, 320), (480, 640))  # height, width
TORCHVISION_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    profile = shapes.read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    folder = tmp_path_factory.mktemp("shapes")
    paths = [folder / f"{index}.png" for index in range(100)]
    for index, path in enumerate(paths):
        image, _ = shapes.draw_image(profile, "test", index)
        height, width = SIZES[index % len(SIZES)]
        assert cv2.imwrite(str(path), cv2.resize(image, (width, height)))
    return paths


@pytest.fixture(scope="module")
def network(images: list[Path]) -> Any:
    import torch

    from runners.exporting import ssdlite as exporting
    from runners.training import ssdlite

    torch.set_num_threads(1)
    torch.manual_seed(7)
    network = ssdlite.build(TORCHVISION_SCALES, len(CLASSES))
    with torch.no_grad():
        for label_head in network.head.classification_head.module_list:
            label_head[-1].weight.mul_(2)
            label_head[-1].bias.view(-1, 1 + len(CLASSES))[:, 0] = 5  # most is background
        for box_head in network.head.regression_head.module_list:
            box_head[-1].weight.mul_(2)
        network.train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        exporting.RawHeads(network)(torch.cat([_tensor(path) for path in images[:16]]))
    return network.eval()


@pytest.fixture(scope="module")
def exported(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from runners.exporting import ssdlite as exporting

    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    exporting.export(network, CLASSES, path, "random weights")
    return path


def _tensor(path: Path) -> Any:
    import torch

    return torch.from_numpy(Stretch((320, 320))(read_image(path))[0].copy())


def theirs(network: Any, paths: list[Path], selection: Selection) -> list[Detections]:
    """What torchvision finds; its labels begin at 1, behind the background."""
    import torch

    network.score_thresh, network.nms_thresh = selection.keep_score, selection.iou
    network.detections_per_img = selection.max_detections
    found = []
    with torch.no_grad():
        for path in paths:
            pixels = np.ascontiguousarray(read_image(path)[..., ::-1].transpose(2, 0, 1))
            (each,) = network([torch.from_numpy(pixels).float() / 255])
            boxes, scores, labels = (each[key].numpy() for key in ("boxes", "scores", "labels"))
            found.append(Detections(boxes, scores, labels.astype(np.intp) - 1))
    return found


def ours(model: Path, paths: list[Path], selection: Selection) -> list[Detections]:
    detector = Detector(model, read_model(model, "m", None).input_size, selection, threads=1)
    return [detector(read_image(path)) for path in paths]


def assert_alike(mine: Detections, others: Detections) -> None:
    """As many, and each has its counterpart; nearly equal scores may have changed places."""
    assert mine.counts(0) == others.counts(0)
    if not len(mine.scores):
        return
    distances = np.abs(mine.boxes[:, None] - others.boxes).max(axis=2)
    distances[mine.classes[:, None] != others.classes] = np.inf
    assert distances.min(axis=0).max() < 0.05  # px
    assert distances.min(axis=1).max() < 0.05
    np.testing.assert_allclose(mine.scores, others.scores[distances.argmin(axis=1)], atol=1e-3)


def test_a_hundred_images(network: Any, exported: Path, images: list[Path]) -> None:
    selection = Selection(0.3, 0.55)
    assert len(images) == 100
    found = ours(exported, images, selection)
    for mine, others in zip(found, theirs(network, images, selection), strict=True):
        assert_alike(mine, others)
    assert sum(len(each.scores) for each in found) > 1000
    assert {int(label) for each in found for label in each.classes} == set(range(5))


@pytest.mark.parametrize(
    "selection",
    [Selection(0.05, 0.55), Selection(0.001, 0.9, 20), Selection(0.5, 0.3), Selection(0.001, 0.55)],
)
def test_the_same_heads_give_the_same_detections(
    network: Any, exported: Path, images: list[Path], selection: Selection
) -> None:
    """To the order, and to the last bits of scores and boxes."""
    import torch

    from runners.exporting import ssdlite as exporting

    family = read_model(exported, "m", None).family
    few = images[:10]
    heads = exporting.RawHeads(network).eval()
    for path, others in zip(few, theirs(network, few, selection), strict=True):
        pixels = read_image(path)
        rgb = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)))
        transformed, _ = network.transform([rgb.float() / 255])
        with torch.no_grad():
            outputs = [each.numpy() for each in heads(transformed.tensors)]
        _, fit = family.preprocessor(np.float32)(pixels)
        mine = family.detect(outputs, selection)
        np.testing.assert_array_equal(mine.classes, others.classes)
        np.testing.assert_allclose(mine.scores, others.scores, rtol=1e-5)
        np.testing.assert_allclose(fit.to_image(mine.boxes), others.boxes, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_the_input_is_torchvision_s(network: Any, size: tuple[int, int]) -> None:
    import torch

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pixels = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))
    wanted, _ = network.transform([pixels.float() / 255])
    tensor, _ = Stretch((320, 320))(image)
    grey_level = 2 / 255
    np.testing.assert_allclose(tensor, wanted.tensors.numpy(), atol=0.01 * grey_level)


def test_facts_of_the_file(exported: Path) -> None:
    file = read_model(exported, "m", None)
    assert file.family.name == "ssdlite"
    assert (file.classes, file.input_size) == (5, (320, 320))
    assert file.metadata.class_names == CLASSES
    assert not file.end_to_end
    assert file.size_bytes < 10_000_000


def test_conversions_keep_family_and_anchors(exported: Path, images: list[Path]) -> None:
    graph = load_graph(exported.read_bytes(), exported)
    half, integer = exported.with_name("half.onnx"), exported.with_name("int8.onnx")
    onnx.save(to_integer(graph, (320, 320), images[:5], lambda _: None).model, integer)
    onnx.save(to_half(load_graph(exported.read_bytes(), exported)), half)
    original = read_model(exported, "m", None).family
    for path, precision in ((half, Precision.FP16), (integer, Precision.INT8)):
        file = read_model(path, "m", None)
        assert file.held is precision
        np.testing.assert_array_equal(file.family.anchors, original.anchors)  # type: ignore[attr-defined]
    executed = prove_executed(integer)
    assert executed.integer > executed.full
    assert executed.weights["int8"] > executed.weights["float32"]
