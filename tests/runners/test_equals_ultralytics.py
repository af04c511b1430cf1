"""The same detections as ultralytics' own `predict`, on its shipped photos and on shapes.

The weights are random (none may be downloaded). Batch normalisation is fitted to the images and the
head's scores are spread out, so that many anchors pass the thresholds and suppression has work.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgelab.catalogue import shipped_profiles
from runners.datasets import shapes
from runners.detections import Detections, Selection
from runners.detector import Detector
from runners.exported import export as export_weights
from runners.images import read_image
from runners.model_file import load_graph, read_model
from runners.precision import prove_executed
from runners.quantise import to_integer

os.environ.update(
    YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS="1",
    ULTRALYTICS_SAFE_LOAD="1",
)  # fmt: skip
ultralytics = pytest.importorskip("ultralytics")

SIZE = 320
EXPORTED_CONFIDENCE = 0.05
EXPORTED_IOU = 0.6

EXPORT = {"format": "onnx", "imgsz": SIZE, "opset": 17, "simplify": False}

EXPORTS: dict[str, dict[str, Any]] = {
    "raw": {},
    "nms": {"nms": True, "conf": EXPORTED_CONFIDENCE, "iou": EXPORTED_IOU, "max_det": 300},
    "dynamic": {"dynamic": True},
    "old": {"opset": 11},
}


def photos() -> list[Path]:
    return sorted((Path(ultralytics.__file__).parent / "assets").glob("*.jpg"))


@pytest.fixture(scope="module")
def shape_images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    profile = shapes.read_profile(shipped_profiles() / "datasets" / "shapes.toml")
    folder = tmp_path_factory.mktemp("shapes")
    paths = [folder / f"{index}.png" for index in range(20)]
    for index, path in enumerate(paths):
        image, _ = shapes.draw_image(profile, "test", index)
        assert cv2.imwrite(str(path), image)
    return paths


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, shape_images: list[Path]) -> dict[str, Path]:
    """A narrow YOLOv8 with a lively head, exported in each form."""
    import torch

    torch.set_num_threads(2)
    folder = tmp_path_factory.mktemp("exports")
    return {
        name: _export(folder / name, options, [*photos(), *shape_images])
        for name, options in EXPORTS.items()
    }


def _export(folder: Path, options: dict[str, Any], images: list[Path]) -> Path:
    model = _lively(folder, images)
    with contextlib.chdir(folder):  # where exports are written
        exported = model.export(**{**EXPORT, **options})
        return Path(exported).absolute()


def _lively(folder: Path, images: list[Path]) -> Any:
    import torch

    folder.mkdir()
    config = Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8.yaml"
    narrow = config.read_text().replace("n: [0.33, 0.25, 1024]", "n: [0.33, 0.125, 1024]")
    assert "0.125" in narrow
    (folder / "yolov8n.yaml").write_text(narrow)
    torch.manual_seed(7)
    model = ultralytics.YOLO(folder / "yolov8n.yaml", task="detect")
    _enliven(model.model, images)
    return model


def _enliven(network: Any, images: list[Path]) -> None:
    import torch

    pixels = np.stack([cv2.resize(cv2.imread(str(path)), (SIZE, SIZE)) for path in images])
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    head = network.model[-1]
    with torch.no_grad():
        for boxes, classes in zip(head.cv2, head.cv3, strict=True):
            boxes[-1].weight.mul_(5)
            classes[-1].weight.mul_(1.5)
            classes[-1].bias.fill_(-3)
        network.train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network(batch)
        network.eval()


def expected(model: Path, images: list[Path], size: int, **settings: float) -> list[Detections]:
    """What ultralytics finds; `rect=False` is the square letterbox of this project."""
    yolo = ultralytics.YOLO(model, task="detect")
    results = [
        yolo.predict(
            path, imgsz=size, device="cpu", rect=False, verbose=False, save=False, **settings
        )[0].boxes
        for path in images
    ]
    return [
        Detections(found.xyxy.numpy(), found.conf.numpy(), found.cls.numpy().astype(np.intp))
        for found in results
    ]


def ours(
    model: Path, images: list[Path], size: int | None, confidence: float, iou: float
) -> list[Detections]:
    file = read_model(model, "m", size)
    detector = Detector(model, file.input_size, Selection(confidence, iou), threads=2)
    return [detector(read_image(path)) for path in images]


def assert_equal(mine: list[Detections], theirs: list[Detections]) -> int:
    """The same classes, scores and boxes, in the same order; returns how many."""
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a.classes, b.classes)
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5)
        np.testing.assert_allclose(a.boxes, b.boxes, rtol=1e-3, atol=1e-3)
    return sum(len(each.scores) for each in mine)


@pytest.mark.parametrize(
    ("confidence", "iou"), [(0.05, 0.7), (0.25, 0.7), (0.25, 0.45), (0.5, 0.3), (0.001, 0.9)]
)
def test_raw_head_on_photos(exports: dict[str, Path], confidence: float, iou: float) -> None:
    model = exports["raw"]
    theirs = expected(model, photos(), SIZE, conf=confidence, iou=iou)
    assert len(photos()) == 2
    assert assert_equal(ours(model, photos(), None, confidence, iou), theirs) > 20


def test_a_checkpoint_as_this_project_exports_it(tmp_path: Path, shape_images: list[Path]) -> None:
    """Against ultralytics' own run of the .pt file, in torch."""
    model = _lively(tmp_path / "model", [*photos(), *shape_images])
    model.ckpt = {}
    model.save(tmp_path / "mine.pt")
    exported = export_weights(tmp_path / "mine.pt", SIZE, tmp_path / "converted", list)
    theirs = expected(tmp_path / "mine.pt", photos(), SIZE, conf=0.25, iou=0.7)
    mine = ours(exported, photos(), None, 0.25, 0.7)
    for a, b in zip(mine, theirs, strict=True):
        assert len(a.scores) > 10
        np.testing.assert_array_equal(a.classes, b.classes)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
        np.testing.assert_allclose(a.boxes, b.boxes, atol=0.2)  # px of a photo, 1080 high


@pytest.mark.parametrize("export", ["raw", "dynamic"])
def test_shapes(exports: dict[str, Path], shape_images: list[Path], export: str) -> None:
    model = exports[export]
    theirs = expected(model, shape_images, SIZE, conf=0.2, iou=0.6)
    assert assert_equal(ours(model, shape_images, SIZE, 0.2, 0.6), theirs) > 20


@pytest.mark.parametrize(("confidence", "iou"), [(0.05, 0.3), (0.5, 0.3), (0.7, 0.7)])
def test_shipped_model_on_shapes(shape_images: list[Path], confidence: float, iou: float) -> None:
    model = shipped_profiles() / "models" / "yolov8n-shapes" / "model.onnx"
    theirs = expected(model, shape_images, 192, conf=confidence, iou=iou)
    assert assert_equal(ours(model, shape_images, None, confidence, iou), theirs) > 50


def test_suppression_inside_the_model(exports: dict[str, Path]) -> None:
    model = exports["nms"]
    theirs = expected(model, photos(), SIZE, conf=0.25, iou=EXPORTED_IOU)
    assert assert_equal(ours(model, photos(), None, 0.25, EXPORTED_IOU), theirs) > 20
    file = read_model(model, "m", None)
    assert file.end_to_end


@pytest.mark.parametrize("export", EXPORTS)
def test_every_export_can_be_quantised(
    exports: dict[str, Path], shape_images: list[Path], export: str
) -> None:
    """Its decoding is found, and all before it is executed in integers."""
    data = exports[export].read_bytes()
    size = (SIZE, SIZE)
    made = to_integer(load_graph(data, exports[export]), size, shape_images[:3], lambda _: None)
    model = made.model
    path = exports[export].with_name("int8.onnx")
    onnx.save(model, path)
    executed = prove_executed(path)
    assert executed.integer > 5 * executed.full
    assert executed.weights["int8"] > 5 * executed.weights["float32"]
    assert ours(path, photos(), SIZE, 0.05, 0.7)[0].scores.size > 20


def test_dynamic_input_at_another_size(exports: dict[str, Path]) -> None:
    model = exports["dynamic"]
    theirs = expected(model, photos(), 256, conf=0.25, iou=0.7)
    assert assert_equal(ours(model, photos(), 256, 0.25, 0.7), theirs) > 20


@pytest.mark.parametrize(
    "suffix", [".jpg", ".png", "_grey.png", "_alpha.png", "_16bit.png", "_rotated.jpg"]
)
def test_images_are_read_alike(tmp_path: Path, suffix: str) -> None:
    from ultralytics.utils.patches import imread

    path = write_kind(tmp_path / f"image{suffix}", cv2.imread(str(photos()[0])), suffix)
    np.testing.assert_array_equal(read_image(path), imread(path))


def write_kind(path: Path, image: NDArray[np.uint8], kind: str) -> Path:
    """Write the image in one of the forms that cameras and tools make."""
    if kind == "_rotated.jpg":
        import PIL.Image

        exif = PIL.Image.Exif()
        exif[0x0112] = 6  # orientation: a quarter turn
        PIL.Image.fromarray(image[..., ::-1]).save(path, exif=exif)
        return path
    converted = {
        "_grey.png": lambda: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
        "_alpha.png": lambda: np.dstack([image, image[..., 0]]),
        "_16bit.png": lambda: image.astype(np.uint16) * 257 + 5,
    }.get(kind, lambda: image)()
    assert cv2.imwrite(str(path), converted)
    return path
