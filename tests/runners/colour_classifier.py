"""A classifier by hand: how red, green and blue an image is. Its answers are known exactly."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = ("red", "green", "blue")
SIDE = 8
SHARPNESS = 40.0

BGR = {"red": (40, 60, 200), "green": (50, 190, 70), "blue": (210, 60, 30)}


def build_classifier(
    path: Path,
    classes: tuple[str, ...] = CLASSES,
    *,
    order: tuple[int, ...] = (0, 1, 2),
    **changes: str,
) -> Path:
    """Means of the channels by a convolution, mixed, sharpened: 8 x 8 px to 3 logits.

    `order`: which channel each class is.
    """
    means = np.zeros((3, 3, SIDE, SIDE), np.float32)
    for channel in range(3):
        means[channel, channel] = 1 / SIDE**2
    constants = {
        "means": means,
        "mix": np.eye(3, dtype=np.float32)[list(order)].T,
        "sharpen": np.eye(3, dtype=np.float32) * SHARPNESS,
        "nothing": np.zeros(3, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "means"], ["pooled"], name="conv"),
            helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
            helper.make_node("Gemm", ["flat", "mix", "nothing"], ["mixed"], name="mix"),
            helper.make_node("Gemm", ["mixed", "sharpen", "nothing"], ["logits"], name="head"),
        ],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    facts = {"task": "classify", "names": str(dict(enumerate(classes))), **changes}
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def write_images(folder: Path, each: int = 8, seed: int = 0) -> Path:
    """A folder a colour with noisy images of several sizes; no two are alike."""
    rng = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            shape = (SIDE + number % 3 * 5, SIDE + number % 2 * 7, 3)
            noise = rng.integers(-30, 31, shape)
            pixels = np.clip(np.array(BGR[name]) + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{number:02}.png"), pixels)
    return folder
