"""The classifiers are what the issue says, layer by layer; heads survive saving."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from edgelab.problem import Problem
from edgelab.schema import SchemaProblem
from runners.classifiers import classifier as classifiers
from runners.classifiers.classifier import Classifier, build, check_heads, heads_of, parameters
from runners.classifiers.config import configure, read_config
from runners.classifiers.weights import CONFIG, WEIGHTS, load_classifier, save_classifier

ELEVEN = tuple(f"class {index}" for index in range(11))
SMALL = 32


def small(model: str, classes: tuple[str, ...] = ELEVEN) -> Classifier:
    torch.manual_seed(0)
    return build(configure(model, classes, SMALL, 16))


def layers(head: nn.Module) -> list[object]:
    """A head as a list: the type of each layer, and the sizes of the linear ones."""
    described: list[object] = []
    for layer in head:
        if isinstance(layer, nn.Linear):
            described.append((layer.in_features, layer.out_features))
        elif isinstance(layer, nn.Dropout):
            described.append(("Dropout", layer.p))
        elif isinstance(layer, classifiers.SelfAttention):
            described.append(("attention", layer.attention.embed_dim, layer.attention.num_heads))
        else:
            described.append(type(layer).__name__)
    return described


def linear(before: int, after: int) -> int:
    return before * after + after


def test_efficientnet_v2_s() -> None:
    model = small("efficientnetv2-s")
    assert layers(model.head) == [("Dropout", 0.2), (1280, 256), "ReLU", (256, 11)]
    assert sum(parameters(model.head)) == linear(1280, 256) + linear(256, 11)
    assert sum(parameters(model.backbone)) == 20_177_488  # timm's 21.5 M less its own head


def test_vit_tiny_of_twelve_blocks() -> None:
    model = small("vit-tiny")
    assert layers(model.head) == ["LayerNorm", (192, 256), "GELU", (256, 11)]
    assert heads_of(model) == (3,) * 12
    assert sum(parameters(model.head)) == 2 * 192 + linear(192, 256) + linear(256, 11)


def test_vit_tiny_at_224_has_the_parameters_of_timm() -> None:
    model = build(configure("vit-tiny", ELEVEN, 224, 16))
    assert sum(parameters(model.backbone)) == 5_524_416


def test_vit_tiny_of_three_blocks_has_heads_3_6_12() -> None:
    model = small("vit-tiny-3")
    assert heads_of(model) == (3, 6, 12)
    assert layers(model.head) == ["LayerNorm", (192, 256), "GELU", (256, 11)]
    block = (
        2 * (2 * 192) + linear(192, 576) + linear(192, 192) + linear(192, 768) + linear(768, 192)
    )
    tokens = 192 + (1 + (SMALL // 16) ** 2) * 192 + linear(3 * 16 * 16, 192)
    assert sum(parameters(model.backbone)) == 3 * block + tokens + 2 * 192


def test_hybrid() -> None:
    model = small("hybrid")
    assert layers(model.head) == [
        (1472, 256), "LayerNorm", "GELU", (256, 128), "GELU", ("attention", 128, 2), (128, 11),
    ]  # fmt: skip
    attention = linear(128, 3 * 128) + linear(128, 128)
    expected = linear(1472, 256) + 512 + linear(256, 128) + attention + linear(128, 11)
    assert sum(parameters(model.head)) == expected


@pytest.mark.parametrize("model", ["efficientnetv2-s", "vit-tiny-3", "hybrid", "timm:resnet10t"])
def test_logits_have_a_column_a_class(model: str) -> None:
    logits = small(model, ("a", "b", "c")).eval()(torch.rand(2, 3, SMALL, SMALL))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()


def test_three_blocks_compute_with_their_own_heads() -> None:
    """The same tensors with other heads give other answers: why the heads are kept apart."""
    model = small("vit-tiny-3").eval()
    images = torch.rand(2, 3, SMALL, SMALL)
    with torch.no_grad():
        first = model(images)
        model.backbone.blocks[2].attn.num_heads = 3
        model.backbone.blocks[2].attn.head_dim = 64
        assert not torch.allclose(first, model(images))
    with pytest.raises(Problem, match=r"heads = \[3, 6, 3\].*\[3, 6, 12\]"):
        check_heads(model)


def test_saved_and_loaded_is_equal(tmp_path: Path) -> None:
    model = small("vit-tiny-3").eval()
    save_classifier(tmp_path, model)
    again = load_classifier(tmp_path)
    images = torch.rand(3, 3, SMALL, SMALL)
    assert torch.equal(again(images), model(images))
    assert again.config == model.config == read_config(tmp_path / CONFIG)


def test_weights_of_another_are_named_by_their_tensor(tmp_path: Path) -> None:
    save_classifier(tmp_path, small("vit-tiny-3"))
    save_classifier(tmp_path / "b", small("vit-tiny-3", ("a", "b")))
    (tmp_path / WEIGHTS).write_bytes((tmp_path / "b" / WEIGHTS).read_bytes())
    with pytest.raises(Problem, match=r"head\.3\.weight is \[2, 256\], expected \[11, 256\]"):
        load_classifier(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no safetensors")
    with pytest.raises(Problem, match="cannot be read"):
        load_classifier(tmp_path)


def test_heads_of_a_wrong_configuration_are_refused(tmp_path: Path) -> None:
    save_classifier(tmp_path, small("vit-tiny"))
    config = msgspec.json.decode((tmp_path / CONFIG).read_bytes())
    config["heads"] = [6] * 12
    (tmp_path / CONFIG).write_bytes(msgspec.json.encode(config))
    with pytest.raises(Problem, match=r"heads = .*the configuration says"):
        load_classifier(tmp_path)
    config["version"] = 9
    (tmp_path / CONFIG).write_bytes(msgspec.json.encode(config))
    with pytest.raises(SchemaProblem, match="version"):
        load_classifier(tmp_path)


def test_a_frozen_backbone_learns_nothing_not_even_its_means() -> None:
    model = small("timm:resnet10t", ("a", "b"))
    model.freeze_backbone()
    before = {name: each.clone() for name, each in model.backbone.state_dict().items()}
    model.train()
    model(torch.rand(4, 3, SMALL, SMALL)).sum().backward()
    assert all(
        torch.equal(each, before[name]) for name, each in model.backbone.state_dict().items()
    )
    assert [name for name, each in model.named_parameters() if each.grad is not None] == [
        "head.weight",
        "head.bias",
    ]


@pytest.mark.parametrize(
    ("model", "size", "match"),
    [
        ("vit-huge", 32, "kind"),
        ("vit-tiny:x", 32, "timm:<name>"),
        ("timm:resnet1o", 32, "timm knows no such model"),
        ("vit-tiny", 40, "image_size 40 is no multiple of patch_size 16"),
    ],
)
def test_what_cannot_be_built_is_named(model: str, size: int, match: str) -> None:
    with pytest.raises(Problem, match=match):
        build(configure(model, ELEVEN, size, 16))
