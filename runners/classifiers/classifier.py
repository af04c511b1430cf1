"""The classifiers: a normalisation, one or two backbones, and a head, each a module of torch.

Every classifier takes RGB images, (n, 3, height, width), 0 to 1, and normalises them itself: so
that an exported file means the same everywhere. Without pretrained weights all numbers are random
by torch's own seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import timm
import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from edgelab.problem import Problem
from runners.classifiers.config import HEADS, ClassifierConfig

EFFICIENTNET = "tf_efficientnetv2_s"
VIT = "vit_tiny_patch16_224"
EFFICIENTNET_FEATURES = 1280
VIT_FEATURES = 192

_HALF = (0.5, 0.5, 0.5)


class Classifier(nn.Module):  # type: ignore[misc]  # torch is not typed for mypy here
    """Normalise, extract features, classify. `config` says which heads the attention has."""

    def __init__(
        self, config: ClassifierConfig, backbone: nn.Module, head: nn.Module, mean: Any, std: Any
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.head = head
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, classes)."""
        return self.head(self.backbone((images - self.mean) / self.std))

    def freeze_backbone(self) -> None:
        """Train the head only; the running means of the backbone stand still too."""
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> Classifier:
        """As torch's, but a frozen backbone is never in training mode."""
        super().train(mode)
        if not any(each.requires_grad for each in self.backbone.parameters()):
            self.backbone.eval()
        return self


class BothFeatures(nn.Module):  # type: ignore[misc]
    """The features of a convolutional network and of a transformer, one behind the other."""

    def __init__(self, convolutional: nn.Module, transformer: nn.Module) -> None:
        super().__init__()
        self.convolutional = convolutional
        self.transformer = transformer

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1280 + 192)."""
        return torch.cat([self.convolutional(images), self.transformer(images)], dim=1)


class SelfAttention(nn.Module):  # type: ignore[misc]
    """Multi-head attention of each image's one vector with itself.

    Over a sequence of one the attention weights are all 1: what is left is the value and the
    output projection. That is how the architecture is published, and so it is kept.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(features, heads, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        """(n, features) to the same shape."""
        one = features.unsqueeze(1)
        return self.attention(one, one, one, need_weights=False)[0].squeeze(1)


def build(config: ClassifierConfig, pretrained: bool = False) -> Classifier:
    """A classifier of that configuration. `pretrained`: fetch timm's weights for its backbone.

    Raises Problem where timm does not know the backbone, and lets the errors of a fetch through.
    """
    classes = len(config.classes)
    if config.kind == "efficientnetv2-s":
        backbone, head = _timm(EFFICIENTNET, pretrained), efficientnet_head(classes)
    elif config.kind == "vit-tiny":
        backbone, head = _vit(config, pretrained), vit_head(classes)
    elif config.kind == "vit-tiny-3":
        backbone, head = three_blocks(config), vit_head(classes)
    elif config.kind == "hybrid":
        transformer = _timm(VIT, pretrained, img_size=config.image_size)
        backbone = BothFeatures(_timm(EFFICIENTNET, pretrained), transformer)
        head = hybrid_head(classes)
    else:
        backbone = _named(config, pretrained)
        head = nn.Linear(backbone.num_features, classes)
    cfg = getattr(backbone, "pretrained_cfg", {}) if config.kind == "timm" else {}
    classifier = Classifier(config, backbone, head, cfg.get("mean", _HALF), cfg.get("std", _HALF))
    check_heads(classifier)
    return classifier


def efficientnet_head(classes: int) -> nn.Module:
    """Dropout 0.2, 1280 to 256, ReLU, 256 to the classes."""
    return nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(EFFICIENTNET_FEATURES, 256),
        nn.ReLU(),
        nn.Linear(256, classes),
    )


def vit_head(classes: int) -> nn.Module:
    """LayerNorm, 192 to 256, GELU, 256 to the classes."""
    return nn.Sequential(
        nn.LayerNorm(VIT_FEATURES), nn.Linear(VIT_FEATURES, 256), nn.GELU(), nn.Linear(256, classes)
    )


def hybrid_head(classes: int) -> nn.Module:
    """1472 to 256, LayerNorm, GELU, to 128, GELU, attention with 2 heads, to the classes."""
    return nn.Sequential(
        nn.Linear(EFFICIENTNET_FEATURES + VIT_FEATURES, 256),
        nn.LayerNorm(256),
        nn.GELU(),
        nn.Linear(256, 128),
        nn.GELU(),
        SelfAttention(128, 2),
        nn.Linear(128, classes),
    )


def three_blocks(config: ClassifierConfig) -> VisionTransformer:
    """ViT-Tiny of three blocks with heads of their own: timm's blocks, one after another.

    timm asks its block factory for the same heads each time, so the factory brings its own.
    """
    heads = iter(config.heads)

    def block(dim: int, num_heads: int, **options: Any) -> Block:  # noqa: ARG001 - timm's, not ours
        return Block(dim, next(heads), **options)

    return VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=VIT_FEATURES,
        depth=len(config.heads),
        num_heads=config.heads[0],
        num_classes=0,
        block_fn=block,
    )


def heads_of(module: nn.Module) -> tuple[int, ...]:
    """Attention heads of the transformer blocks in a module, in their order."""
    return tuple(each.attn.num_heads for each in module.modules() if isinstance(each, Block))


def check_heads(classifier: Classifier) -> None:
    """Raise Problem where the attention is not what the configuration says."""
    config = classifier.config
    found = heads_of(classifier.backbone)
    if config.kind in HEADS and found != config.heads:
        raise Problem(f"heads = {list(found)}: the configuration says {list(config.heads)}")


def parameters(module: nn.Module) -> Iterator[int]:
    """The size of each tensor that can be trained at all, frozen ones included."""
    return (each.numel() for each in module.parameters())


def _timm(name: str, pretrained: bool, **options: Any) -> nn.Module:
    return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)


def _vit(config: ClassifierConfig, pretrained: bool) -> nn.Module:
    sizes = {"img_size": config.image_size, "patch_size": config.patch_size}
    return _timm(VIT, pretrained, **sizes)


def _named(config: ClassifierConfig, pretrained: bool) -> nn.Module:
    if not timm.is_model(config.backbone):
        near = list(itertools.islice(timm.list_models(f"*{config.backbone}*"), 3))
        hint = f": did you mean {', '.join(near)}?" if near else ""
        raise Problem(f"timm:{config.backbone}: timm knows no such model{hint}")
    try:
        return _timm(config.backbone, pretrained, img_size=config.image_size)
    except TypeError:  # convolutional networks take any size and no such argument
        return _timm(config.backbone, pretrained)
