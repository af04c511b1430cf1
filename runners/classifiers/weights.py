"""Saving and loading classifiers: safetensors and classifier.json, never a pickle."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from edgelab.durable import replace_file
from edgelab.problem import Problem
from runners.classifiers.classifier import Classifier, build
from runners.classifiers.config import ClassifierConfig, read_config, write_config

WEIGHTS = "model.safetensors"
CONFIG = "classifier.json"


def save_classifier(folder: Path, classifier: Classifier) -> None:
    """Write weights and configuration, each whole or not at all; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder / CONFIG, classifier.config)
    replace_file(folder / WEIGHTS, weight_bytes(classifier), shared=True)


def load_classifier(folder: Path) -> Classifier:
    """The classifier kept in `folder`, in evaluation mode.

    Raises SchemaProblem for a wrong configuration, and Problem where the weights do not belong to
    it, naming the first tensor that differs.
    """
    config = read_config(folder / CONFIG)
    return load_weights(folder / WEIGHTS, config)


def load_weights(path: Path, config: ClassifierConfig) -> Classifier:
    """A classifier of that configuration with the weights at `path`; heads are asserted."""
    classifier = build(config)
    classifier.load_state_dict(read_weights(path, classifier))
    classifier.eval()
    return classifier


def read_weights(path: Path, classifier: Classifier) -> dict[str, Tensor]:
    """The tensors of a file, checked against a classifier's; raises Problem."""
    try:
        held: dict[str, Tensor] = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise Problem(f"{path}: cannot be read ({error})") from None
    for name, tensor in classifier.state_dict().items():
        if name not in held:
            raise Problem(f"{path}: lacks the tensor {name}")
        if held[name].shape != tensor.shape:
            raise Problem(
                f"{path}: {name} is {list(held[name].shape)}, expected {list(tensor.shape)}"
            )
    if surplus := sorted(set(held) - set(classifier.state_dict())):
        raise Problem(f"{path}: holds {surplus[0]}, which the classifier does not have")
    return held


def weight_bytes(classifier: Classifier) -> bytes:
    """All tensors of the classifier as one safetensors file."""
    tensors = {name: each.contiguous().cpu() for name, each in classifier.state_dict().items()}
    data: bytes = safetensors.torch.save(tensors)
    return data
