"""The detectors that are measured, with their images."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import run_program

PHOTO_COPIES = 10
"""Each of the two photos this many times: a dataset long enough for a percentile."""


def yolov8n(folder: Path) -> tuple[Path, Path]:
    """YOLOv8n at 640 px with random weights, and a folder of photos; made once a folder."""
    made = folder / "yolov8n"
    if not made.exists():
        made.mkdir()
        run_program("build_yolov8n", made, home=folder, **offline(made))
        photos = made / "photos"
        photos.mkdir()
        for copy in range(PHOTO_COPIES):
            for source in shipped_photos():
                shutil.copy(source, photos / f"{copy:02}-{source.name}")
    return made / "yolov8n.onnx", made / "photos"


def shipped_photos() -> list[Path]:
    """The two photos that ultralytics ships; raises FileNotFoundError without it."""
    package = find_spec("ultralytics")
    if package is None or package.origin is None:
        raise FileNotFoundError("ultralytics is not installed: make bench installs it")
    return sorted((Path(package.origin).parent / "assets").glob("*.jpg"))


def offline(folder: Path) -> dict[str, str]:
    """Variables that keep ultralytics from the network and from the user's settings."""
    return {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(folder),
        "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
    }
