"""A vision-language model from scratch: ViT encoder, linear projector, small Llama decoder.

The encoder turns an image into tokens, the projector brings these to the width of the decoder, and
the decoder reads them before the question, as if they were words, and writes the answer letter by
letter. Only answers count in the loss. The decoder is a Llama (Touvron et al. 2023,
https://arxiv.org/abs/2302.13971): RMSNorm, rotary positions, causal attention, SwiGLU.

Shapes in the comments: n pairs, t tokens, d numbers a token, h heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from runners.from_scratch.vit import Encoder

PAD, END = 0, 1
LETTERS = "\n" + "".join(chr(code) for code in range(32, 127))
"""What can be read and written; a token each, behind PAD and END."""

IGNORED = -100
"""The label of what is no answer: torch's cross-entropy leaves it out."""


class Pair(NamedTuple):
    """An image, (3, size, size), 0 to 1, a question and its answer."""

    image: Tensor
    question: str
    answer: str


def encode(text: str) -> list[int]:
    """Letters to tokens; raises ValueError for a letter that the model does not know."""
    return [LETTERS.index(letter) + 2 for letter in text]


def decode(tokens: Sequence[int]) -> str:
    """Tokens to letters, up to the first END."""
    letters = ""
    for token in tokens:
        if token in (PAD, END):
            break
        letters += LETTERS[token - 2]
    return letters


class RmsNorm(nn.Module):  # type: ignore[misc]  # torch is not typed for mypy here
    """Each token scaled to a root mean square of 1, then by what was learned."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, d) to the same shape."""
        return self.weight * tokens * tokens.square().mean(-1, keepdim=True).add(1e-6).rsqrt()


def rotate(heads: Tensor) -> Tensor:
    """Rotary positions: numbers in pairs are turned by an angle that grows with the place.

    (n, h, t, d / h) to the same. What two tokens say to each other then depends on their distance.
    """
    t, half = heads.shape[2], heads.shape[3] // 2
    speeds = 10_000 ** (-torch.arange(half) / half)
    angles = torch.outer(torch.arange(t), speeds)  # (t, d / h / 2)
    first, second = heads[..., :half], heads[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class CausalAttention(nn.Module):  # type: ignore[misc]
    """Each token looks at itself and at those before it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            nn.Linear(dim, dim, bias=False) for _ in range(4)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, d) to the same shape."""
        n, t, d = tokens.shape
        q, k, v = (
            layer(tokens).reshape(n, t, self.heads, d // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = rotate(q) @ rotate(k).transpose(2, 3) / (d // self.heads) ** 0.5
        later = torch.ones(t, t, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(later, -torch.inf).softmax(dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, t, d))


class DecoderBlock(nn.Module):  # type: ignore[misc]
    """Causal attention, then SwiGLU: one half of the network opens and shuts the other."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(dim), RmsNorm(dim)
        self.attention = CausalAttention(dim, heads)
        self.gate, self.up = (nn.Linear(dim, 3 * dim, bias=False) for _ in range(2))
        self.down = nn.Linear(3 * dim, dim, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, d) to the same shape."""
        tokens = tokens + self.attention(self.norm1(tokens))
        normed = self.norm2(tokens)
        return tokens + self.down(functional.silu(self.gate(normed)) * self.up(normed))


class VisionLanguageModel(nn.Module):  # type: ignore[misc]
    """See the module. The words that are read and those that are written share one table."""

    def __init__(self, encoder: Encoder, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = nn.Linear(encoder.dim, dim)
        self.words = nn.Embedding(len(LETTERS) + 2, dim)
        nn.init.normal_(self.words.weight, std=0.02)
        self.blocks = nn.Sequential(*(DecoderBlock(dim, heads) for _ in range(depth)))
        self.norm = RmsNorm(dim)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits of what follows each of `tokens`, (n, t): (n, t, words)."""
        return self.read(self.encoder(images), tokens)

    def read(self, seen: Tensor, tokens: Tensor) -> Tensor:
        """The same from what the encoder made of the images: one that is frozen is asked once."""
        seen = self.projector(seen)
        states = self.norm(self.blocks(torch.cat([seen, self.words(tokens)], dim=1)))
        return states[:, seen.shape[1] :] @ self.words.weight.T


def examples(pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor]:
    """Images, tokens and labels, (n, t) both; labels are set where an answer is written only."""
    rows, marks = [], []
    for pair in pairs:
        asked, answer = encode(f"{pair.question}\n"), [*encode(pair.answer), END]
        rows.append(asked + answer)
        # The token before a letter is where that letter is foretold.
        marks.append([IGNORED] * (len(asked) - 1) + answer + [IGNORED])
    length = max(map(len, rows))
    tokens = torch.tensor([row + [PAD] * (length - len(row)) for row in rows])
    labels = torch.tensor([mark + [IGNORED] * (length - len(mark)) for mark in marks])
    return torch.stack([pair.image for pair in pairs]), tokens, labels


def overfit(model: VisionLanguageModel, pairs: Sequence[Pair], most: int = 400) -> list[float]:
    """Learn the pairs by heart; returns the loss of each step, at most `most` of them.

    Ends when the loss is so low that each answer is the most probable one at each letter.
    """
    images, tokens, labels = examples(pairs)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.0)
    losses: list[float] = []
    while len(losses) < most and (not losses or losses[-1] > 5e-3):
        logits = model(images, tokens)
        foretold = logits.flatten(0, 1)
        loss = functional.cross_entropy(foretold, labels.flatten(), ignore_index=IGNORED)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()  # type: ignore[untyped-decorator]
def answer(model: VisionLanguageModel, image: Tensor, question: str, most: int = 32) -> str:
    """What the model writes: the most probable letter each time, up to END or `most` letters."""
    tokens = encode(f"{question}\n")
    written: list[int] = []
    for _ in range(most):
        logits = model.eval()(image[None], torch.tensor([tokens + written]))
        written.append(int(logits[0, -1].argmax()))
        if written[-1] == END:
            break
    return decode(written)
