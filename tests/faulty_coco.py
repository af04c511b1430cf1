"""A COCO file with every fault that `edgelab datasets check` knows, and good objects in it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.runners.colour_detector import some_cells, write_cells

HOSTILE = "\x1b]0;evil\x07\u202e[red]"
"""In a file name and a class name: nothing of it may reach a terminal."""


def write_faulty_coco(folder: Path) -> Path:
    """Images of 64 px under `images`, the annotations beside them; returns the latter's path."""
    images = folder / "images"
    for number in range(3):
        write_cells(images / f"{number}.png", some_cells(number, 2))
    write_cells(images / f"{HOSTILE}.png", some_cells(3, 2))
    whole = (images / "0.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    (images / "text.png").write_bytes(b"no image")
    file = folder / "faulty.json"
    # Python writes NaN, which JSON has not.
    file.write_text(json.dumps(_content()))
    return file


def _content() -> dict[str, object]:
    size = {"width": 64, "height": 64}
    return {
        "images": [
            {"id": 1, "file_name": "0.png", **size},
            {"id": 2, "file_name": "1.png", "width": 640, "height": 480},
            {"id": 3, "file_name": "2.png"},
            {"id": 4, "file_name": f"{HOSTILE}.png", **size},
            {"id": 5, "file_name": "cut.png", **size},
            {"id": 6, "file_name": "text.png", **size},
            {"id": 7, "file_name": "gone.png", **size},
            {"id": 8, "file_name": "../outside.png"},
            {"id": 1, "file_name": "again.png"},
            {"id": 9, "file_name": "2.png"},
        ],
        "categories": [
            {"id": 1, "name": "red"},
            {"id": 2, "name": "green"},
            {"id": 3, "name": HOSTILE},
            {"id": 4, "name": "nowhere"},
            {"id": 2, "name": "violet"},
            {"id": 5, "name": "Red "},
        ],
        "annotations": [
            _object(1, 1, 1),
            _object(2, 1, 2),
            _object(3, 2, 1),
            _object(4, 3, 3),
            _object(5, 4, 1, bbox=[60, 60, 30, 8]),
            _object(5, 4, 2),  # an id that was there before
            _object(6, 1, 1),  # the same as the first
            _object(7, 77, 1),
            _object(8, 1, 77),
            _object(9, 1, 1, bbox=[0, 0, float("nan"), 8]),
            _object(10, 1, 1, bbox=[0, 0, 0, 8]),
            _object(11, 1, 1, bbox=[0, 0, 8]),
            _object(12, 1, 1, iscrowd=2),
            _object(13, 1, 1, iscrowd=1, bbox=[0, 0, 60, 60]),
            {"image_id": 1, "category_id": 2},
        ],
    }


def _object(key: int, image: int, category: int, **others: object) -> dict[str, object]:
    sound = {"id": key, "image_id": image, "category_id": category, "bbox": [8, 8, 8, 8]}
    return sound | others
