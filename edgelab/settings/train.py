"""Train: teach a classifier its classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.settings.base import TaskSettings
from edgelab.settings.common import HeldOut, NotNegative, Positive, Share, Text

Above0 = Annotated[float, Meta(gt=0.0)]
AtLeast0 = Annotated[float, Meta(ge=0.0)]

ARCHITECTURES = ("efficientnetv2-s", "vit-tiny", "vit-tiny-3", "hybrid")
"""Those with a head of their own; any other is `timm:` and its name there."""


class Augmentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Random changes of the training images.

    `flip`, `flip_vertical`: probabilities. `rotation`: largest angle, degrees. `jitter`: largest
    relative change of brightness, contrast and saturation. `noise`: standard deviation, of 1.
    """

    flip: Share = 0.5
    flip_vertical: Share = 0.0
    rotation: Annotated[float, Meta(ge=0.0, le=180.0)] = 10.0
    jitter: Share = 0.2
    noise: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.02


class TrainSettings(TaskSettings, frozen=True, kw_only=True, tag="train"):
    """One classifier on one labelled dataset.

    `model` is a trainable architecture of the catalogue, or `timm:` and a name of that library.
    `dataset`: a catalogue name, a folder with a folder a class, a .csv, a COCO .json (then `images`
    is its image folder), a folder of IDX files or of parquet files, or `digits`. Data without
    splits are split by class: `val_share` and `test_share` of them are held out. `patch_size`: px a
    side of a transformer's patches, where its architecture leaves them open.

    One step of the optimiser (AdamW) sees `batch` x `accumulate` images. The learning rate is
    multiplied by `plateau_factor` after `plateau_patience` epochs without a lower held-out loss;
    after `patience` epochs without a better one training ends. `limit` bounds the images of each
    split. `processes`: so many share each batch, on a GPU each where there are some; `threads` is
    of each.
    """

    images: Text | None = None
    val_share: HeldOut = 0.15
    test_share: HeldOut = 0.15
    limit: Positive | None = None
    image_size: Annotated[int, Meta(ge=8, le=1024)] = 224
    patch_size: Annotated[int, Meta(ge=2, le=64)] = 16
    epochs: Positive = 15
    patience: Positive = 5
    batch: Positive = 32
    accumulate: Positive = 1
    learning_rate: Above0 = 3e-4
    weight_decay: AtLeast0 = 0.01
    plateau_patience: Positive = 2
    plateau_factor: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5
    augmentation: Augmentation = Augmentation()
    class_weights: bool = False
    mixed_precision: bool = True
    freeze_backbone: bool = False
    pretrained: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: Annotated[int, Meta(ge=1, le=64)] = 1
    seed: NotNegative = 0
    checkpoint_s: AtLeast0 = 60.0
    tensorboard: bool = False
    export: bool = True

    def __post_init__(self) -> None:
        if self.processes > self.batch:
            raise ValueError(
                f"processes = {self.processes}: at most one for each image of a batch, {self.batch}"
            )

    @property
    def title(self) -> str:
        """What a run of these settings is called."""
        return f"train {self.model} on {Path(self.dataset).stem}"
