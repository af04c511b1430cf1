"""A YOLOv8-shaped detector built by hand, and images that it detects exactly.

It looks at cells of 8x8 px and finds the red, green and blue ones: stride-8 convolution, SiLU, box
and class convolutions, distribution focal loss, decoding, as an export of ultralytics has them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

CELL = 8
BINS = 4
COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
CLASSES = tuple(COLOURS)
IMAGES = 3


def build_detector(
    path: Path,
    size: int = 64,
    *,
    names: tuple[str, ...] | None = CLASSES,
    dtype: Any = np.float32,
    dynamic: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write the detector to `path`: (1, 3, size, size) -> (1, 4 + 3, cells)."""
    grid = size // CELL
    cells = grid * grid
    weights = _weights(dtype)
    weights["anchors"] = _anchors(grid).astype(dtype)
    weights["stride"] = np.array(CELL, dtype)
    weights["two"] = np.array(2, dtype)
    weights["to_boxes"] = np.array([1, 4 * BINS, cells], np.int64)
    weights["to_classes"] = np.array([1, 3, cells], np.int64)
    weights["to_bins"] = np.array([1, 4, BINS, cells], np.int64)
    weights["to_sides"] = np.array([1, 4, cells], np.int64)
    nodes = [
        helper.make_node("Conv", ["images", "stem"], ["seen"], strides=[CELL, CELL]),
        helper.make_node("Sigmoid", ["seen"], ["gate"]),
        helper.make_node("Mul", ["seen", "gate"], ["bright"]),
        helper.make_node("Conv", ["bright", "same"], ["features"]),
        helper.make_node("Conv", ["features", "box", "box_bias"], ["raw_boxes"]),
        helper.make_node("Conv", ["features", "class", "class_bias"], ["raw_classes"]),
        helper.make_node("Reshape", ["raw_boxes", "to_boxes"], ["boxes"]),
        helper.make_node("Reshape", ["raw_classes", "to_classes"], ["classes"]),
        helper.make_node("Sigmoid", ["classes"], ["scores"]),
        helper.make_node("Reshape", ["boxes", "to_bins"], ["bins"]),
        helper.make_node("Transpose", ["bins"], ["bins_first"], perm=[0, 2, 1, 3]),
        helper.make_node("Softmax", ["bins_first"], ["shares"], axis=1),
        helper.make_node("Conv", ["shares", "expectation"], ["expected"]),
        helper.make_node("Reshape", ["expected", "to_sides"], ["sides"]),
        helper.make_node("Split", ["sides", "halves"], ["before", "after"], axis=1),
        helper.make_node("Sub", ["anchors", "before"], ["low"]),
        helper.make_node("Add", ["anchors", "after"], ["high"]),
        helper.make_node("Add", ["low", "high"], ["sum"]),
        helper.make_node("Div", ["sum", "two"], ["centre"]),
        helper.make_node("Sub", ["high", "low"], ["extent"]),
        helper.make_node("Concat", ["centre", "extent"], ["cell_boxes"], axis=1),
        helper.make_node("Mul", ["cell_boxes", "stride"], ["pixel_boxes"]),
        helper.make_node("Concat", ["pixel_boxes", "scores"], ["output0"], axis=1),
    ]
    weights["halves"] = np.array([2, 2], np.int64)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    sides: list[Any] = ["height", "width"] if dynamic else [size, size]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", kind, [1, 3, *sides])],
        [helper.make_tensor_value_info("output0", kind, [1, 7, cells])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    properties = {"task": "detect", "stride": "8", **(metadata or {})}
    if names is not None:
        properties.setdefault("names", repr(dict(enumerate(names))))
    helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


def draw_cells(cells: dict[tuple[int, int], str], size: int = 64) -> NDArray[np.uint8]:
    """A grey image with the cells (row, column) painted in the named colours; BGR."""
    image = np.full((size, size, 3), 90, np.uint8)
    for (row, column), colour in cells.items():
        top, left = row * CELL, column * CELL
        image[top : top + CELL, left : left + CELL] = COLOURS[colour]
    return image


def write_cells(path: Path, cells: dict[tuple[int, int], str], size: int = 64) -> Path:
    """Write such an image, without loss where the format allows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), draw_cells(cells, size))
    return path


def some_cells(seed: int, count: int, size: int = 64) -> dict[tuple[int, int], str]:
    """`count` coloured cells at places that the seed decides."""
    rng = np.random.default_rng(seed)
    grid = size // CELL
    places = rng.choice(grid * grid, count, replace=False).tolist()
    return {divmod(place, grid): CLASSES[int(rng.integers(3))] for place in places}


def _weights(dtype: Any) -> dict[str, NDArray[Any]]:
    """Features are mean red, green, blue of a cell; a class wants its own and no other."""
    stem = np.zeros((3, 3, CELL, CELL))
    for channel in range(3):
        stem[channel, channel] = 1 / CELL**2
    classes = (np.eye(3) * 24 - 12).reshape(3, 3, 1, 1)
    bins = np.tile([10.0, 10.0, -10.0, -10.0], 4)  # expectation 0.5: half a cell to each side
    return {
        "stem": stem.astype(dtype),
        "same": np.eye(3).reshape(3, 3, 1, 1).astype(dtype),
        "box": np.zeros((4 * BINS, 3, 1, 1), dtype),
        "box_bias": bins.astype(dtype),
        "class": classes.astype(dtype),
        "class_bias": np.full(3, -5, dtype),
        "expectation": np.arange(BINS, dtype=dtype).reshape(1, BINS, 1, 1),
    }


def _anchors(grid: int) -> NDArray[np.float64]:
    y, x = np.mgrid[0:grid, 0:grid] + 0.5
    return np.stack([x.ravel(), y.ravel()])[None]


def write_coloured_cells(folder: Path, images: int = IMAGES, most: int = 6) -> Path:
    """A COCO file of images with 0, 1, 2 ... `most`, 0 ... coloured cells, beside `images/`."""
    entries, annotations = [], []
    for index in range(images):
        cells = some_cells(index, index % (most + 1))
        write_cells(folder / "images" / f"{index}.png", cells)
        entries.append({"id": index, "file_name": f"{index}.png"})
        annotations += [
            {"image_id": index, "category_id": CLASSES.index(colour)} for colour in cells.values()
        ]
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASSES)]
    file = folder / "annotations.json"
    file.write_text(
        json.dumps({"images": entries, "annotations": annotations, "categories": categories})
    )
    return file
