"""A vision transformer from scratch (Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929).

    python -m runners.from_scratch.vit --dataset digits

An image is cut into patches; each patch becomes a vector (a token). Blocks of attention let the
tokens look at each other. One more token, CLS, belongs to no patch: it gathers what is seen, and
the class is read from it. Nothing here is taken from a library but the layers Linear and LayerNorm.

Shapes in the comments: n images, t tokens, d numbers a token, h heads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgelab.catalogue import Catalogue
from edgelab.home import Home
from edgelab.problem import Problem
from runners.classify_input import as_planes, resized
from runners.datasets.labelled import Picture, Splits, make_splits
from runners.datasets.labelled_sources import open_labelled


def to_patches(images: Tensor, side: int) -> Tensor:
    """Cut (n, 3, height, width) into squares of `side` px: (n, t, 3 * side * side), row by row."""
    n, channels, height, width = images.shape
    rows, columns = height // side, width // side
    cut = images.reshape(n, channels, rows, side, columns, side)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, channels * side * side)


class Attention(nn.Module):  # type: ignore[misc]  # torch is not typed for mypy here
    """Each token asks all others and mixes their values: softmax(Q K^T / sqrt(d / h)) V."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, d) to the same shape."""
        n, t, d = tokens.shape
        q, k, v = (
            layer(tokens).reshape(n, t, self.heads, d // self.heads).transpose(1, 2)  # (n, h, t, .)
            for layer in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(2, 3) / (d // self.heads) ** 0.5  # (n, h, t, t): who looks at whom
        mixed = scores.softmax(dim=-1) @ v  # (n, h, t, d / h)
        return self.out(mixed.transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):  # type: ignore[misc]
    """Attention between the tokens, then a small network on each; both add to what was there."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.network = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, d) to the same shape."""
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.network(self.norm2(tokens))


class Encoder(nn.Module):  # type: ignore[misc]
    """Images, (n, 3, size, size), 0 to 1, to tokens, (n, 1 + t, d): the first is CLS."""

    def __init__(self, size: int, patch: int, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.patch, self.dim = patch, dim
        self.embed = nn.Linear(3 * patch * patch, dim)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        # Attention knows no order: where a patch lies must be added to what it shows.
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + (size // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        patches = self.embed(to_patches(images * 2 - 1, self.patch))
        tokens = torch.cat([self.cls.expand(len(images), -1, -1), patches], dim=1)
        return self.norm(self.blocks(tokens + self.position))


class VisionTransformer(nn.Module):  # type: ignore[misc]
    """The encoder, and a linear layer that reads the class from CLS."""

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.dim, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, classes)."""
        return self.head(self.encoder(images)[:, 0])


def fit(
    model: VisionTransformer, images: Tensor, labels: Tensor, epochs: int, seed: int = 0
) -> list[float]:
    """Train with AdamW and a cosine; returns the mean loss of each epoch."""
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    batches = -(-len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, epochs * batches)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for part in torch.randperm(len(images), generator=chance).split(64):
            noisy = images[part] + 0.05 * torch.randn(images[part].shape, generator=chance)
            loss = functional.cross_entropy(model(noisy), labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(part)
        losses.append(total / len(images))
    return losses


@torch.no_grad()  # type: ignore[untyped-decorator]
def accuracy(model: VisionTransformer, images: Tensor, labels: Tensor) -> float:
    """The share of images whose most probable class is the true one."""
    return float((model.eval()(images).argmax(dim=1) == labels).float().mean())


def tensors(pictures: Sequence[Picture], size: int) -> tuple[Tensor, Tensor]:
    """Images, (n, 3, size, size), and labels, (n,)."""
    planes = [as_planes(resized(each.read(), size)) for each in pictures]
    return torch.from_numpy(np.stack(planes)), torch.tensor([each.label for each in pictures])


def train_on(splits: Splits, size: int, patch: int, epochs: int) -> tuple[list[float], float]:
    """Train a small transformer; returns the losses and the accuracy on the test split."""
    torch.manual_seed(0)
    encoder = Encoder(size, patch, dim=64, depth=2, heads=4)
    model = VisionTransformer(encoder, len(splits.classes))
    losses = fit(model, *tensors(splits.train, size), epochs)
    return losses, accuracy(model, *tensors(splits.test, size))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on labelled images and print the curve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runners.from_scratch.vit")
    parser.add_argument("--dataset", default="digits", help="digits, a folder, IDX files, a .csv")
    parser.add_argument("--image-size", type=int, default=8, metavar="PX")
    parser.add_argument("--patch-size", type=int, default=2, metavar="PX")
    parser.add_argument("--epochs", type=int, default=40, metavar="N")
    options = parser.parse_args(arguments)
    home = Home.default()
    try:
        found = open_labelled(
            str(Path(options.dataset)), None, Catalogue(home), home, lambda *_: None
        )
        splits = make_splits(found, 0.15, 0.15, seed=0)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    losses, share = train_on(splits, options.image_size, options.patch_size, options.epochs)
    for epoch, loss in enumerate(losses, 1):
        sys.stdout.write(f"epoch {epoch:3d}  loss {loss:.4f}\n")
    sys.stdout.write(f"accuracy on {len(splits.test)} test images: {share:.4f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
