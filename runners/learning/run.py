"""A training from its settings to the profile of what came out: the steps of `runners.train`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch

from edgelab.catalogue import Catalogue
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import TRAIN, DatasetFacts, Record, SplitFacts, TrainStep
from edgelab.settings.train import TrainSettings
from runners.classifiers.classifier import Classifier, build
from runners.classifiers.config import ClassifierConfig, configure
from runners.classifiers.export import export_onnx
from runners.classifiers.weights import load_classifier, save_classifier
from runners.datasets.labelled import SPLITS, Splits, make_splits
from runners.datasets.labelled_sources import open_labelled
from runners.drawing import Drawing
from runners.learning.checkpoint import Checkpoints
from runners.learning.device import open_device
from runners.learning.event_files import EventFiles
from runners.learning.group import join
from runners.learning.pictures import Pictures, read_pictures
from runners.learning.scores import classification_scores
from runners.learning.trainer import Reporter, Trainer
from runners.step import RunningStep, now

_FETCH_TIMEOUT_S = "10"


def train(step: RunningStep, home: Home) -> None:
    """Do it; raises Problem where nothing can be learned."""
    settings = step.settings(TrainSettings)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    group = join(settings.processes, settings.device)
    device = open_device(settings.device, settings.mixed_precision, group.rank)
    splits = _data(step, settings, home)
    config = configure(settings.model, splits.classes, settings.image_size, settings.patch_size)
    checkpoints = Checkpoints(step.folder.artifacts / "checkpoints")
    best = step.folder.artifacts / "best"
    classifier = _build(step, settings, config)
    pictures = {split: _read(step, split, splits, settings.image_size) for split in SPLITS}
    wanted = settings.tensorboard and group.rank == 0
    events = EventFiles(step.folder.artifacts / "tensorboard") if wanted else None
    trainer = Trainer(
        classifier,
        pictures["train"],
        pictures["val"],
        settings,
        device,
        checkpoints,
        _reporter(step, events),
        lambda each: save_classifier(best, each),
        group,
    )
    step.phase(TRAIN, settings.epochs * trainer.per_epoch, "steps")
    trainer.run()
    if group.rank:
        return  # the leader does the rest
    if events is not None:
        events.close()
    _measure(step, trainer, load_classifier(best), pictures["test"])
    if settings.export:
        _publish(step, home, settings, load_classifier(best))


def _data(step: RunningStep, settings: TrainSettings, home: Home) -> Splits:
    step.phase("read the dataset")
    data = open_labelled(settings.dataset, settings.images, Catalogue(home), home, Drawing(step))
    shares = (settings.val_share, settings.test_share)
    splits = make_splits(data, *shares, settings.seed, settings.limit)
    for warning in splits.warnings:
        step.warning(warning)
    step.event(
        DatasetFacts(
            t=now(),
            name=splits.name,
            split="train",
            images=len(splits.train),
            classes=splits.classes,
            has_truth=True,
            sha256=splits.fingerprint(),
            objects=None,
        )
    )
    for split in SPLITS:
        step.event(SplitFacts(now(), split, splits.by_class(split)))
    return splits


def _build(step: RunningStep, settings: TrainSettings, config: ClassifierConfig) -> Classifier:
    """The classifier to begin with; a checkpoint overwrites its weights later."""
    step.phase("build the classifier", unit="")
    torch.manual_seed(settings.seed)
    classifier = _pretrained(step, settings, config) if settings.pretrained else None
    if classifier is None:
        torch.manual_seed(settings.seed)
        classifier = build(config)
    if settings.freeze_backbone:
        classifier.freeze_backbone()
    return classifier


def _pretrained(
    step: RunningStep, settings: TrainSettings, config: ClassifierConfig
) -> Classifier | None:
    if settings.model == "vit-tiny-3":
        step.warning("vit-tiny-3 has no pretrained weights: it begins with random ones")
        return None
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", _FETCH_TIMEOUT_S)
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", _FETCH_TIMEOUT_S)
    try:
        return build(config, pretrained=True)
    except Problem:
        raise
    except Exception as error:  # the hub's own, which have no class in common
        step.warning(
            f"no pretrained weights of {settings.model} could be fetched "
            f"({type(error).__name__}): it begins with random ones"
        )
        return None


def _read(step: RunningStep, split: str, splits: Splits, side: int) -> Pictures:
    found = splits.of(split)
    step.phase(f"read the {split} images", len(found))
    return read_pictures(split, found, side, step.progress, step.warning)


def _reporter(step: RunningStep, events: EventFiles | None) -> Reporter:
    def tell(record: Record) -> None:
        step.event(record)
        if events is not None:
            events.add(record)

    def made(record: TrainStep) -> None:
        step.item(record)
        if events is not None:
            events.add(record)
        step.checkpoint()

    return Reporter(tell, made, step.warning)


def _measure(step: RunningStep, trainer: Trainer, best: Classifier, test: Pictures) -> None:
    """What the best weights say of the test images, which nothing was chosen by."""
    step.phase("measure on test", unit="")
    trainer.classifier = best.to(trainer.device.device)
    said = trainer.held_out(test)
    step.event(
        classification_scores(
            now(),
            "best weights",
            "test",
            best.config.classes,
            said.truth,
            said.probabilities.argmax(axis=1).astype(np.int64),
            said.probabilities.max(axis=1),
        )
    )


def _publish(step: RunningStep, home: Home, settings: TrainSettings, best: Classifier) -> None:
    """Export the best weights and make them known under a name of the run's own."""
    step.phase("export", unit="")
    exported = step.folder.artifacts / "model.onnx"
    export_onnx(best, exported)
    number = step.spec.number
    kind = settings.model.replace(":", "-").replace("/", "-")
    folder = home.profiles / "models" / f"{kind}-{Path(settings.dataset).stem}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(exported, folder / "model.onnx")
    # A JSON string is a TOML string too.
    profile = (
        "schema_version = 1\n"
        f'title = "{kind} trained by run {number}"\n'
        'task = "classify"\n'
        'file = "model.onnx"\n'
        f"dataset = {json.dumps(settings.dataset)}\n"
        f"val_share = {settings.val_share}\n"
        f"test_share = {settings.test_share}\n"
        f"split_seed = {settings.seed}\n"
        f'note = "run {step.spec.id}"\n'
    )
    # The profile comes last: a folder without one is no model yet.
    replace_file(folder / "model.toml", profile.encode(), shared=True)
