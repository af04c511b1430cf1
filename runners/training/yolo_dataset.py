"""A COCO-format dataset laid out as ultralytics trains on it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from runners.datasets.shapes import CocoAnnotation, CocoFile, CocoImage
from runners.training.truth import read_annotations


def write_yolo_dataset(dataset: Path, folder: Path) -> Path:
    """Lay train and val out as ultralytics wants them; returns the path of the dataset YAML.

    The images are linked, not copied. All splits must list the same categories.
    """
    for split in ("train", "val"):
        coco = read_annotations(dataset / split)
        _link_images(coco, dataset / split / "images", folder / split / "images")
        _write_labels(coco, folder / split / "labels")
    names = [category.name for category in coco.categories]
    content = {
        "path": str(folder),
        "train": "train/images",
        "val": "val/images",
        "names": dict(enumerate(names)),
    }
    path = folder / "dataset.yaml"
    path.write_bytes(msgspec.json.encode(content))  # JSON is YAML, too
    return path


def _link_images(coco: CocoFile, source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for entry in coco.images:
        (target / entry.file_name).symlink_to((source / entry.file_name).resolve())


def _write_labels(coco: CocoFile, folder: Path) -> None:
    folder.mkdir(parents=True)
    classes = {category.id: index for index, category in enumerate(coco.categories)}
    images = {entry.id: entry for entry in coco.images}
    lines: dict[int, list[str]] = {image_id: [] for image_id in images}
    for item in coco.annotations:
        label = yolo_label(item, images[item.image_id], classes[item.category_id])
        lines[item.image_id].append(label)
    for entry in coco.images:
        path = (folder / entry.file_name).with_suffix(".txt")
        path.write_text("\n".join(lines[entry.id]), encoding="utf-8")


def yolo_label(item: CocoAnnotation, image: CocoImage, class_index: int) -> str:
    """A line of a YOLO label file: class, then centre x, centre y, width, height as shares.

    Source: https://docs.ultralytics.com/datasets/detect/
    """
    left, top, width, height = item.bbox
    shares = (
        (left + width / 2) / image.width,
        (top + height / 2) / image.height,
        width / image.width,
        height / image.height,
    )
    return " ".join([str(class_index), *(f"{share:.6f}" for share in shares)])
