"""Teach the vision-language model from scratch to count, on a vision tower that was trained before.

    python -m runners.from_scratch.counting

First the tower learns to see: from what it makes of each patch, a linear layer must tell which
shape has its centre there. Then the tower is frozen, and projector and decoder learn to answer "how
many circles?" and "how many shapes?" in words. What is printed is measured on images that nothing
was learned from, beside the best answer of one who does not look: the most frequent one to that
question.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from runners.classify_input import as_planes
from runners.datasets.scene import Scene, draw
from runners.from_scratch.vit import Encoder
from runners.from_scratch.vlm import (
    IGNORED,
    Pair,
    VisionLanguageModel,
    decode,
    encode,
    examples,
)

PATCH = 8
BATCH = 64
RATE = 2e-3
SCENE = Scene(
    seed=20261125, image_size=48, classes=("circle", "triangle", "square", "pentagon", "star"),
    max_objects=4, object_size=(13, 18), max_overlap=0.0, min_contrast=70.0, noise=(1.0, 12.0),
)  # fmt: skip
"""As the embedded shapes, but few, apart, and large in the image: a small tower must see them."""

ANY = "how many shapes?"


class Seen(NamedTuple):
    """Images, (n, 3, size, size), 0 to 1; `centres`, (n, patches): 0, or 1 + the class of the shape
    whose centre lies in a patch; `counts`, (n, classes)."""

    images: Tensor
    centres: Tensor
    counts: Tensor


class Score(NamedTuple):
    """Over questions: the share answered exactly, and the mean absolute error of the count."""

    exact: float
    error: float


def look(count: int, stream: int) -> Seen:
    """Draw so many images; another `stream` gives other images."""
    images, centres, counts = [], [], []
    side = SCENE.image_size // PATCH
    for index in range(count):
        image, objects = draw(SCENE, stream, index)
        images.append(as_planes(image))
        grid, found = np.zeros((side, side), np.int64), [0] * len(SCENE.classes)
        for each in objects:
            left, top, right, bottom = each.box
            grid[int((top + bottom) / 2) // PATCH, int((left + right) / 2) // PATCH] = (
                1 + each.label
            )
            found[each.label] += 1
        centres.append(grid.reshape(-1))
        counts.append(found)
    pixels, places = torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(centres))
    return Seen(pixels, places, torch.tensor(counts))


def learn_to_see(encoder: Encoder, seen: Seen, steps: int) -> list[float]:
    """Train the tower and a linear layer on its patches; returns the loss of each step.

    Nearly all patches hold no centre: these weigh a tenth.
    """
    head = nn.Linear(encoder.dim, 1 + len(SCENE.classes))
    weights = torch.tensor([0.1] + [1.0] * len(SCENE.classes))

    def loss_of(part: Tensor) -> Tensor:
        logits = head(encoder(seen.images[part])[:, 1:])  # without CLS
        targets = seen.centres[part].flatten()
        return functional.cross_entropy(logits.flatten(0, 1), targets, weight=weights)

    trained = [*encoder.parameters(), *head.parameters()]
    return list(_descend(trained, len(seen.images), loss_of, steps))


def ask(seen: Seen, chance: torch.Generator) -> list[Pair]:
    """Of each image one question: how many of a class, or, once in five, how many shapes."""
    pairs = []
    for image, counts in zip(seen.images, seen.counts, strict=True):
        label = int(torch.randint(len(SCENE.classes), (1,), generator=chance))
        whole = bool(torch.rand(1, generator=chance) < 0.2)
        question = ANY if whole else f"how many {SCENE.classes[label]}s?"
        answer = int(counts.sum() if whole else counts[label])
        pairs.append(Pair(image, question, str(answer)))
    return pairs


def learn_to_count(
    model: VisionLanguageModel, seen: Seen, steps: int, told: Callable[[int, float], None]
) -> None:
    """Train all but the tower, which looks at each image once; `told` gets steps and losses."""
    with torch.no_grad():
        tokens_of = torch.cat([model.encoder(part) for part in seen.images.split(BATCH)])
    chance = torch.Generator().manual_seed(1)

    def loss_of(part: Tensor) -> Tensor:
        _, tokens, labels = examples(ask(Seen(*(each[part] for each in seen)), chance))
        logits = model.read(tokens_of[part], tokens).flatten(0, 1)
        return functional.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED)

    tower = set(model.encoder.parameters())
    trained = [each for each in model.parameters() if each not in tower]
    for step, loss in enumerate(_descend(trained, len(seen.images), loss_of, steps), 1):
        told(step, loss)


def _descend(
    weights: Sequence[Tensor], count: int, loss_of: Callable[[Tensor], Tensor], steps: int
) -> Iterator[float]:
    """AdamW over batches of `count` images in an order of chance; the loss of each step."""
    optimiser = torch.optim.AdamW(weights, RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    chance = torch.Generator().manual_seed(0)
    done = 0
    while done < steps:
        for part in torch.randperm(count, generator=chance).split(BATCH)[: steps - done]:
            loss = loss_of(part)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            yield loss.item()


@torch.no_grad()  # type: ignore[untyped-decorator]
def answers(model: VisionLanguageModel, pairs: Sequence[Pair]) -> list[str]:
    """The letter that the model writes first: no count here has two."""
    written = []
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        images, tokens, _ = examples(part)
        logits = model(images, tokens)
        places = [len(encode(f"{pair.question}\n")) - 1 for pair in part]
        written += [decode([int(row[at].argmax())]) for row, at in zip(logits, places, strict=True)]
    return written


def guesses(learned: Sequence[Pair], asked: Sequence[Pair]) -> list[str]:
    """What one would say who never looks: the most frequent answer to each question."""
    known: dict[str, Counter[str]] = {}
    for pair in learned:
        known.setdefault(pair.question, Counter())[pair.answer] += 1
    return [known[pair.question].most_common(1)[0][0] for pair in asked]


def score(said: Sequence[str], asked: Sequence[Pair]) -> Score:
    """How good answers are; one that is no number counts as none seen, and is not exact."""
    pairs = list(zip(said, asked, strict=True))
    exact = [text == pair.answer for text, pair in pairs]
    errors = [abs((int(text) if text.isdigit() else 0) - int(pair.answer)) for text, pair in pairs]
    return Score(float(np.mean(exact)), float(np.mean(errors)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both halves, print the curve and what became of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runners.from_scratch.counting")
    parser.add_argument("--images", type=int, default=2000, metavar="N", help="to learn from")
    parser.add_argument("--tower-steps", type=int, default=320, metavar="N", help="to see")
    parser.add_argument("--steps", type=int, default=450, metavar="N", help="to count")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    encoder = Encoder(SCENE.image_size, PATCH, dim=64, depth=2, heads=4)
    model = VisionLanguageModel(encoder, dim=64, depth=2, heads=4)
    learned, unseen = look(options.images, 0), look(500, 1)
    asked = ask(unseen, torch.Generator().manual_seed(2))
    losses = learn_to_see(encoder, learned, options.tower_steps)
    for start in range(0, len(losses), every := max(1, len(losses) // 8)):
        part = losses[start : start + every]
        _say(f"tower, to step {start + len(part):5d}  loss {np.mean(part):.4f}")

    def told(step: int, loss: float) -> None:
        if step % max(1, options.steps // 6) == 0:
            exact, error = score(answers(model, asked), asked)
            _say(f"step {step:5d}  loss {loss:.4f}  exact {exact:.3f}  mean error {error:.3f}")

    learn_to_count(model, learned, options.steps, told)
    guessed = guesses(ask(learned, torch.Generator().manual_seed(3)), asked)
    for name, said in (("answered", answers(model, asked)), ("guessed", guessed)):
        exact, error = score(said, asked)
        _say(f"{name} {len(asked)} questions: exact {exact:.3f}, mean error {error:.3f}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
