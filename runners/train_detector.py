"""Train a detector on a COCO-format dataset and export it to ONNX.

    python -m runners.train_detector TRAINING_TOML --dataset-folder DIR --output DIR

The dataset folder holds `train`, `val` and `test`, each with `images/` and `annotations.json`.
The output folder receives `model.onnx` (raw head, no NMS inside), `results.csv`, `selection.json`
and `training.log`. NMS IoU and score threshold are chosen on val; test is only reported.

Training is seeded and asks torch for deterministic algorithms: the same machine, libraries and
thread count give the same weights; another processor or another torch may not.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgelab.problem import Problem
from edgelab.schema import read_json, read_toml
from runners.datasets.shapes import CocoAnnotation, CocoFile, CocoImage

EXTRA_MODULES = ("torch", "ultralytics", "onnxslim")

NMS_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))
REPORTED_THRESHOLDS = (0.3, 0.5, 0.7)

OPSET = 17
MAX_CHANNELS = 1024
KEPT_METADATA = {
    "author",
    "license",
    "version",
    "task",
    "head",
    "stride",
    "batch",
    "imgsz",
    "names",
}

LOGGED_FIGURES = {
    "train/box_loss": "box",
    "train/cls_loss": "class",
    "train/dfl_loss": "dfl",
    "metrics/mAP50(B)": "mAP50",
    "metrics/mAP50-95(B)": "mAP50-95",
}

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]

log = logging.getLogger("edgelab.train")


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
    """A training from which the model can be made again.

    `imgsz` is a side of the square input in px, `lrf` the last learning rate as a share of `lr0`,
    `close_mosaic` the number of epochs without mosaic at the end.
    """

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
    weight_decay: NotNegative
    warmup_epochs: NotNegative
    close_mosaic: Annotated[int, Meta(ge=0)]
    seed: Annotated[int, Meta(ge=0)]
    threads: Count
    augmentation: Augmentation


class SelectionRow(msgspec.Struct, frozen=True):
    """A pair that was tried, and the count MAE that it gave."""

    nms_iou: float
    threshold: float
    mae_mean: float


class Selection(msgspec.Struct, frozen=True):
    """The pair of the lowest count MAE on a split, and all that were tried."""

    schema_version: Literal[1]
    split: str
    chosen: SelectionRow
    tried: list[SelectionRow]


@dataclass(frozen=True)
class Predictions:
    """A split's true counts, (images, classes), and raw model outputs, (4 + classes, anchors)."""

    true_counts: NDArray[np.int64]
    outputs: list[NDArray[np.float32]]

    def counts(self, nms_iou: float, threshold: float) -> NDArray[np.int64]:
        """Detections of each class in each image that score above `threshold`."""
        import torch
        from ultralytics.utils.nms import non_max_suppression

        counts = np.zeros_like(self.true_counts)
        for row, output in zip(counts, self.outputs, strict=True):
            (found,) = non_max_suppression(torch.from_numpy(output[None]), threshold, nms_iou)
            row += np.bincount(found[:, 5].numpy().astype(np.int64), minlength=row.size)
        return counts

    def count_mae(self, nms_iou: float, threshold: float) -> float:
        """The mean over classes of the mean over all images of |predicted - true count|."""
        return float(np.abs(self.counts(nms_iou, threshold) - self.true_counts).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as asked; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runners.train_detector")
    parser.add_argument("spec", type=Path, metavar="TRAINING_TOML")
    parser.add_argument("--dataset-folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        spec = read_toml(options.spec, TrainingSpec)
        for split in ("train", "val", "test"):
            read_annotations(options.dataset_folder / split)
        with tempfile.TemporaryDirectory(prefix="train-detector-") as work:
            _prepare_ultralytics(Path(work) / "config", spec.threads)
            options.output.mkdir(parents=True, exist_ok=True)
            _log_to(options.output / "training.log")
            weights = train(spec, options.dataset_folder, options.output, Path(work))
            export(weights, spec, options.output / "model.onnx")
        choose_and_report(spec, options.dataset_folder, options.output)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def train(spec: TrainingSpec, dataset: Path, output: Path, work: Path) -> Path:
    """Train and return the weights of the highest val mAP; writes `output/results.csv`."""
    import torch
    import ultralytics

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


def export(weights: Path, spec: TrainingSpec, target: Path) -> None:
    """Export to ONNX: (1, 3, imgsz, imgsz) in, raw (1, 4 + classes, anchors) out.

    Of ultralytics' metadata only what a reader of the model needs is kept: the rest names
    folders of this machine, or changes the file's hash at every export.
    """
    import onnx
    from ultralytics import YOLO

    exported = YOLO(weights).export(
        format="onnx",
        imgsz=spec.imgsz,
        batch=1,
        dynamic=False,
        opset=OPSET,
        simplify=True,
        nms=False,
        device="cpu",
    )
    model = onnx.load(exported)
    properties = {p.key: p.value for p in model.metadata_props if p.key in KEPT_METADATA}
    properties["description"] = f"{spec.name}, trained on {spec.dataset}"
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
    log.info("model.onnx: %d bytes", target.stat().st_size)


def choose_and_report(spec: TrainingSpec, dataset: Path, output: Path) -> None:
    """Choose NMS IoU and threshold on val, write `selection.json`, then report test."""
    model = output / "model.onnx"
    selection = choose(predict(model, dataset / "val", spec))
    encoded = msgspec.json.format(msgspec.json.encode(selection), indent=1)
    (output / "selection.json").write_bytes(encoded + b"\n")
    chosen = selection.chosen
    log.info("chosen on val: NMS IoU %s, threshold %s, MAE %.4f", *msgspec.structs.astuple(chosen))
    test = predict(model, dataset / "test", spec)
    log.info("test, %d objects, NMS IoU %s:", test.true_counts.sum(), chosen.nms_iou)
    for threshold in REPORTED_THRESHOLDS:
        counted = test.counts(chosen.nms_iou, threshold).sum()
        error = test.count_mae(chosen.nms_iou, threshold)
        log.info("threshold %s: %d counted, MAE %.4f", threshold, counted, error)


def choose(val: Predictions) -> Selection:
    """Try all pairs; of equally good ones take the threshold nearest to 0.5."""
    tried = [
        SelectionRow(nms_iou, threshold, round(val.count_mae(nms_iou, threshold), 4))
        for nms_iou in NMS_IOUS
        for threshold in THRESHOLDS
    ]
    best = min(tried, key=lambda row: (row.mae_mean, abs(row.threshold - 0.5)))
    return Selection(1, "val", best, tried)


def predict(model: Path, split: Path, spec: TrainingSpec) -> Predictions:
    """Run the exported model over a split, and count the split's true objects."""
    import onnxruntime
    from ultralytics.data.augment import LetterBox

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = spec.threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (model_input,) = session.get_inputs()
    letterbox = LetterBox((spec.imgsz, spec.imgsz))
    coco = read_annotations(split)
    outputs = []
    for entry in coco.images:
        image = letterbox(image=cv2.imread(str(split / "images" / entry.file_name)))
        tensor = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)[None], np.float32) / 255
        (output,) = session.run(None, {model_input.name: tensor})
        outputs.append(output[0])
    return Predictions(count_objects(coco), outputs)


def count_objects(coco: CocoFile) -> NDArray[np.int64]:
    """How many objects of each class each image holds: (images, classes), in the file's order."""
    rows = {image.id: row for row, image in enumerate(coco.images)}
    columns = {category.id: column for column, category in enumerate(coco.categories)}
    counts = np.zeros((len(rows), len(columns)), np.int64)
    for item in coco.annotations:
        counts[rows[item.image_id], columns[item.category_id]] += 1
    return counts


def read_annotations(split: Path) -> CocoFile:
    """Read `annotations.json` of a split's folder; raises `edgelab.schema.SchemaProblem`."""
    return read_json(split / "annotations.json", CocoFile)


def write_architecture(spec: TrainingSpec, folder: Path) -> Path:
    """Copy ultralytics' architecture file with the spec's depth and width multiples.

    ultralytics takes the scale from the letter after the version in the file's name, so that a
    name of "yolov8n-..." means the scale "n".
    """
    from ultralytics.utils import ROOT, YAML

    architecture = YAML.load(ROOT / "cfg" / "models" / "v8" / f"{spec.architecture}.yaml")
    architecture["scales"] = {"n": [spec.depth_multiple, spec.width_multiple, MAX_CHANNELS]}
    path = folder / f"{spec.name}.yaml"
    YAML.save(path, architecture)
    return path


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


def _prepare_ultralytics(config: Path, threads: int) -> None:
    """Import the extra's modules with ultralytics kept off the network and out of the home folder.

    Raises `Problem` if one of them is missing.
    """
    config.mkdir()
    os.environ |= {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(config),
        "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
        "OMP_NUM_THREADS": str(threads),
    }
    try:
        for name in EXTRA_MODULES:
            importlib.import_module(name)
    except ImportError as error:
        raise Problem(
            f"training needs {error.name}, which is not installed: pip install 'edgelab[train]'"
        ) from None


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


def _log_to(path: Path) -> None:
    log.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()):
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
