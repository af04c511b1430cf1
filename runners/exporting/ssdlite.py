"""torchvision's `ssdlite320_mobilenet_v3_large` exported as it is run: raw heads and anchors."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxslim
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import (
    SSDLite320_MobileNet_V3_Large_Weights,
    ssdlite,
    ssdlite320_mobilenet_v3_large,
)
from torchvision.models.detection.image_list import ImageList

from edgelab.problem import Problem
from runners.family import FAMILY_KEY
from runners.ssdlite import ANCHORS_KEY, Ssdlite, encode_anchors

SIZE = 320
OPSET = 17

_SCORES = "head.classification_head.module_list.0.1.weight"
_ANCHORS_A_CELL = 6
_TAIL = "backbone.features.1.0.3.0.weight"
_REDUCED_TAIL_CHANNELS = 80
"""Of 160: torchvision halves MobileNetV3's last blocks where no pretrained backbone is asked for
(table 6 of https://arxiv.org/abs/1905.02244)."""
_COCO_CLASSES = 91
_WRAPPINGS = ("model", "state_dict")

State = Mapping[str, Any]


class RawHeads(torch.nn.Module):  # type: ignore[misc]
    """The part of the network that is exported: from the input tensor to the raw heads."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.head = network.head

    def forward(self, tensor: Any) -> tuple[Any, Any]:
        """Class logits, (1, anchors, 1 + classes), and box regression, (1, anchors, 4)."""
        heads = self.head(list(self.backbone(tensor).values()))
        return heads["cls_logits"], heads["bbox_regression"]


def export(network: Any, names: Sequence[str] | None, target: Path, description: str) -> None:
    """Export to ONNX, as `runners.ssdlite` reads it: raw heads, the anchors in the metadata."""
    network.eval()
    torch.onnx.export(
        RawHeads(network).eval(),
        torch.zeros(1, 3, SIZE, SIZE),
        target,
        dynamo=False,  # the other exporter needs onnxscript
        opset_version=OPSET,
        input_names=["images"],
        output_names=["cls_logits", "bbox_regression"],
    )
    model = onnxslim.slim(str(target))
    properties = {
        "task": "detect",
        FAMILY_KEY: Ssdlite.name,
        "imgsz": repr([SIZE, SIZE]),
        ANCHORS_KEY: encode_anchors(anchors_of(network)),
        "description": description,
    }
    if names is not None:
        properties["names"] = repr(dict(enumerate(names)))
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def anchors_of(network: Any) -> Any:
    """The network's anchors at its input size: (n, 4) of x1, y1, x2, y2, px, float32."""
    tensor = torch.zeros(1, 3, SIZE, SIZE)
    with torch.no_grad():
        maps = list(network.backbone(tensor).values())
        (anchors,) = network.anchor_generator(ImageList(tensor, [(SIZE, SIZE)]), maps)
    return anchors.numpy()


def export_weights(weights: Path, target: Path, description: str) -> None:
    """Export a state dict with torchvision's anchors.

    The names of 91 classes are COCO's, those of others come from the file, if it has any (a list
    `names` beside the state dict, or in the metadata of a .safetensors). Raises Problem.
    """
    state, names = read_state(weights)
    network = build(state, weights)
    classes = network.head.classification_head.num_columns
    if names is None and classes == _COCO_CLASSES:
        names = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.meta["categories"][1:]
    if names is not None and len(names) != classes - 1:
        raise Problem(f"{weights}: names {len(names)} classes, but its head has {classes - 1}")
    export(network, names, target, description)


def read_state(weights: Path) -> tuple[State, list[str] | None]:
    """The state dict in a .pth or .safetensors file, and the names of its classes if it has any.

    Nothing in the file is executed. Raises Problem.
    """
    if weights.suffix.lower() == ".safetensors":
        return _read_safetensors(weights)
    try:
        content = torch.load(weights, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # torch's own words advise to load it unsafely.
        raise Problem(
            f"{weights}: no state dict that can be loaded safely: it holds more than tensors; "
            "nothing of it was run"
        ) from None
    except (RuntimeError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Problem(f"{weights}: no state dict that can be loaded safely ({reason})") from None
    names = content.get("names") if isinstance(content, dict) else None
    for key in _WRAPPINGS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise Problem(f"{weights}: holds a {type(content).__name__}, expected a state dict")
    return content, None if names is None else [str(name) for name in names]


def build(state: State, weights: Path) -> Any:
    """The network that these weights are of; raises Problem where they are of another."""
    scores, tail = state.get(_SCORES), state.get(_TAIL)
    if scores is None or tail is None:
        raise Problem(
            f"{weights}: no state dict of torchvision's ssdlite320_mobilenet_v3_large: "
            f"{_SCORES if scores is None else _TAIL} is missing"
        )
    classes = scores.shape[0] // _ANCHORS_A_CELL
    network = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=classes
    )
    if tail.shape[0] != _REDUCED_TAIL_CHANNELS:
        network = _with_full_tail(network, classes)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise Problem(f"{weights}: the weights do not fit: {reason}") from None
    return network.eval()


def _with_full_tail(network: Any, classes: int) -> Any:
    """As torchvision builds it around a pretrained backbone; that itself would be a download."""
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    full = mobilenet_v3_large(weights=None, norm_layer=norm)
    network.backbone = ssdlite._mobilenet_extractor(full, 6, norm)
    with torch.no_grad():
        maps = network.backbone.eval()(torch.zeros(1, 3, SIZE, SIZE)).values()
    channels = [each.shape[1] for each in maps]
    cells = network.anchor_generator.num_anchors_per_location()
    network.head = ssdlite.SSDLiteHead(channels, cells, classes, norm)
    return network


def _read_safetensors(weights: Path) -> tuple[State, list[str] | None]:
    try:
        with safe_open(weights, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
            names = (file.metadata() or {}).get("names")
    except SafetensorError as error:
        raise Problem(f"{weights}: no .safetensors file ({error})") from None
    try:
        return state, None if names is None else [str(name) for name in json.loads(names)]
    except ValueError:
        raise Problem(f"{weights}: metadata names: not a list in JSON") from None
