"""Train a detector on a COCO-format dataset and export it to ONNX.

    python -m runners.train_detector TRAINING_TOML --dataset-folder DIR --output DIR

The dataset folder holds `train`, `val` and `test`, each with `images/` and `annotations.json`.
The output folder receives `model.onnx` (raw head, no NMS inside), `training.log`, `results.csv`
and `selection.json`. NMS IoU and score threshold are chosen on val; test is only reported.

Training is seeded and asks torch for deterministic algorithms: the same machine, libraries and
thread count give the same model; another processor or torch version may not.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from runners.datasets.shapes import CocoFile

log = logging.getLogger("edgelab.train")

NMS_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))
REPORTED_THRESHOLDS = (0.3, 0.5, 0.7)
OPSET = 17

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Random changes of the training images, as ultralytics names and scales them."""

    mosaic: Share
    hsv_h: Share
    hsv_s: Share
    hsv_v: Share
    translate: Share
    scale: Share
    flipud: Share
    fliplr: Share


class TrainingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A training, from which the model can be made again."""

    schema_version: Literal[1]
    name: Annotated[str, Meta(pattern=r"^yolov8n-[a-z0-9-]+$")]
    dataset: str
    architecture: Literal["yolov8"]
    depth_multiple: Positive
    width_multiple: Positive
    imgsz: Annotated[int, Meta(ge=32, multiple_of=32)]
    epochs: Count
    batch: Count
    optimizer: Literal["SGD", "AdamW"]
    lr0: Positive
    lrf: Share
    schedule: Literal["linear", "cosine"]
    weight_decay: Annotated[float, Meta(ge=0)]
    warmup_epochs: Annotated[float, Meta(ge=0)]
    close_mosaic: Annotated[int, Meta(ge=0)]
    seed: Annotated[int, Meta(ge=0)]
    threads: Count
    augmentation: Augmentation


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m runners.train_detector")
    parser.add_argument("spec", type=Path, metavar="TRAINING_TOML")
    parser.add_argument("--dataset-folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    spec = msgspec.toml.decode(options.spec.read_bytes(), type=TrainingSpec)
    options.output.mkdir(parents=True, exist_ok=True)
    _log_to(options.output / "training.log")
    with tempfile.TemporaryDirectory(prefix="train-detector-") as work:
        train(spec, options.dataset_folder.resolve(), options.output, Path(work))
    return 0


def train(spec: TrainingSpec, dataset: Path, output: Path, work: Path) -> None:
    _prepare_ultralytics(work / "config", spec.threads)
    import torch
    import ultralytics
    from ultralytics import YOLO

    ultralytics.settings.update({"sync": False})
    torch.set_num_threads(spec.threads)
    log.info("ultralytics %s, torch %s", ultralytics.__version__, torch.__version__)
    log.info("%s", spec)
    data = write_yolo_dataset(dataset, work / "dataset")
    model = YOLO(str(_write_architecture(spec, work)), task="detect")
    model.add_callback("on_train_start", _log_start)
    model.add_callback("on_fit_epoch_end", _EpochLog(spec.epochs))
    model.train(
        data=str(data),
        imgsz=spec.imgsz,
        epochs=spec.epochs,
        batch=spec.batch,
        nbs=spec.batch,  # one optimizer step a batch
        optimizer=spec.optimizer,
        lr0=spec.lr0,
        lrf=spec.lrf,
        cos_lr=spec.schedule == "cosine",
        weight_decay=spec.weight_decay,
        warmup_epochs=spec.warmup_epochs,
        warmup_bias_lr=0.0,
        close_mosaic=spec.close_mosaic,
        seed=spec.seed,
        **msgspec.structs.asdict(spec.augmentation),
        device="cpu",
        workers=0,
        amp=False,
        plots=False,
        deterministic=True,
        patience=0,
        project=str(work / "runs"),
        name="train",
        verbose=False,
    )


def _prepare_ultralytics(config: Path, threads: int) -> None:
    """Keep ultralytics off the network and out of the home folder; before its import."""
    config.mkdir(parents=True)
    os.environ |= {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(config),
        "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
        "OMP_NUM_THREADS": str(threads),
    }


def _write_architecture(spec: TrainingSpec, folder: Path) -> Path:
    """Copy the packaged architecture with the spec's multiples.

    ultralytics takes the scale from the letter after the number in the file's name.
    """
    from ultralytics.utils import ROOT, YAML

    architecture = YAML.load(ROOT / "cfg" / "models" / "v8" / f"{spec.architecture}.yaml")
    architecture["scales"] = {"n": [spec.depth_multiple, spec.width_multiple, 1024]}
    path = folder / f"{spec.name}.yaml"
    YAML.save(path, architecture)
    return path


def write_yolo_dataset(dataset: Path, folder: Path) -> Path:
    """Lay links to the images and YOLO labels out as ultralytics wants them; its YAML's path.

    A label line is: class index, then the box's centre x, centre y, width, height as shares
    of the image (https://docs.ultralytics.com/datasets/detect/).
    """
    names: list[str] = []
    for split in ("train", "val"):
        coco = msgspec.json.decode((dataset / split / "annotations.json").read_bytes(), type=CocoFile)
        names = [category.name for category in coco.categories]
        labels = {category.id: index for index, category in enumerate(coco.categories)}
        lines: dict[int, list[str]] = {image.id: [] for image in coco.images}
        images = {image.id: image for image in coco.images}
        for item in coco.annotations:
            image = images[item.image_id]
            x, y, width, height = item.bbox
            box = (
                (x + width / 2) / image.width,
                (y + height / 2) / image.height,
                width / image.width,
                height / image.height,
            )
            label = labels[item.category_id]
            lines[image.id].append(" ".join([str(label), *(f"{value:.6f}" for value in box)]))
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
        for image in coco.images:
            source = dataset / split / "images" / image.file_name
            (folder / split / "images" / image.file_name).symlink_to(source)
            label_path = (folder / split / "labels" / image.file_name).with_suffix(".txt")
            label_path.write_text("\n".join(lines[image.id]), encoding="utf-8")
    path = folder / "dataset.yaml"
    content = {"path": str(folder), "train": "train/images", "val": "val/images", "names": dict(enumerate(names))}
    path.write_bytes(msgspec.json.encode(content))  # JSON is YAML
    return path


def _log_start(trainer: Any) -> None:
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    log.info("%d parameters, %d training images", parameters, len(trainer.train_loader.dataset))


class _EpochLog:
    """Logs a line an epoch: losses and val mAP."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.started = time.monotonic()

    def __call__(self, trainer: Any) -> None:
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        metrics = {**losses, **trainer.metrics}
        log.info(
            "epoch %d/%d  %s  %.0f s",
            trainer.epoch + 1,
            self.epochs,
            "  ".join(f"{name} {value:.3f}" for name, value in metrics.items()),
            time.monotonic() - self.started,
        )


def _log_to(path: Path) -> None:
    log.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()):
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
