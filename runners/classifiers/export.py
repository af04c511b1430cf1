"""A classifier as an ONNX file that needs nothing beside it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from edgelab.durable import replace_file
from runners.classifiers.classifier import Classifier

OPSET = 17


def export_onnx(classifier: Classifier, path: Path) -> None:
    """Write the classifier: `images` (1, 3, side, side), RGB, 0 to 1, to `logits` (1, classes).

    Class names, image size and task stand in the metadata, as in a detector's export. Raises
    OSError.
    """
    side = classifier.config.image_size
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # of the tracer: shapes are fixed, which is what is wanted
        warnings.simplefilter("ignore")
        torch.onnx.export(
            classifier.cpu().eval(),
            (torch.zeros(1, 3, side, side),),
            buffer,
            input_names=["images"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    _describe(model, classifier)
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString(), shared=True)


def _describe(model: Any, classifier: Classifier) -> None:
    config = classifier.config
    facts = {
        "task": "classify",
        "names": str(dict(enumerate(config.classes))),
        "imgsz": str([config.image_size, config.image_size]),
        "stride": "1",
        "architecture": config.backbone or config.kind,
        "heads": str(list(config.heads)),
    }
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
