"""Training of a YOLOv8 from scratch by ultralytics, and its export."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import torch
import ultralytics
from ultralytics.utils import ROOT, YAML

from runners.exporting.yolo import export
from runners.training.spec import YoloTraining
from runners.training.yolo_dataset import write_yolo_dataset

MAX_CHANNELS = 1024

LOGGED_FIGURES = {
    "train/box_loss": "box",
    "train/cls_loss": "class",
    "train/dfl_loss": "dfl",
    "metrics/mAP50(B)": "mAP50",
    "metrics/mAP50-95(B)": "mAP50-95",
}

log = logging.getLogger("edgelab.train")


def make_model(spec: YoloTraining, dataset: Path, output: Path, work: Path) -> None:
    """Train, and write `output/results.csv` and `output/model.onnx`; `work` is scratch space."""
    weights, target = train(spec, dataset, output, work), output / "model.onnx"
    export(weights, target, spec.imgsz, f"{spec.name}, trained on {spec.dataset}")
    log.info("model.onnx: %d bytes", target.stat().st_size)


def train(spec: YoloTraining, dataset: Path, output: Path, work: Path) -> Path:
    """Train and return the weights of the highest val mAP; writes `output/results.csv`."""
    ultralytics.settings.update({"sync": False})
    log.info("ultralytics %s, torch %s", ultralytics.__version__, torch.__version__)
    log.info("%s", spec)
    data = write_yolo_dataset(dataset, work / "dataset")
    model = ultralytics.YOLO(write_architecture(spec, work), task="detect")
    # ultralytics sets a thread count of its own when it selects the device, so ours comes later.
    model.add_callback("on_train_start", lambda _: torch.set_num_threads(spec.threads))
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
        patience=0,  # no early stop: the schedule is part of the spec
        project=str(work / "runs"),
        name="train",
        verbose=False,
    )
    shutil.copyfile(model.trainer.csv, output / "results.csv")
    return Path(model.trainer.best)


def write_architecture(spec: YoloTraining, folder: Path) -> Path:
    """Copy ultralytics' architecture file with the spec's depth and width multiples.

    ultralytics takes the scale from the letter after the version in the file's name, so that a
    name of "yolov8n-..." means the scale "n".
    """
    architecture = YAML.load(ROOT / "cfg" / "models" / "v8" / "yolov8.yaml")
    architecture["scales"] = {"n": [spec.depth_multiple, spec.width_multiple, MAX_CHANNELS]}
    path = folder / f"{spec.name}.yaml"
    YAML.save(path, architecture)
    return path


def _log_start(trainer: Any) -> None:
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    log.info("%d parameters, %d training images", parameters, len(trainer.train_loader.dataset))


class _EpochLog:
    """Logs a line an epoch: training losses, val mAP, seconds since the start."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.started = time.monotonic()

    def __call__(self, trainer: Any) -> None:
        epoch = trainer.epoch + 1
        if epoch > self.epochs:  # ultralytics validates the best weights once more at the end
            return
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        figures = {**losses, **trainer.metrics}
        shown = "  ".join(f"{name} {figures[key]:.3f}" for key, name in LOGGED_FIGURES.items())
        elapsed = time.monotonic() - self.started
        log.info("epoch %d/%d  %s  %.0f s", epoch, self.epochs, shown, elapsed)
