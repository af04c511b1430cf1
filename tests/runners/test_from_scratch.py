"""The written-out transformers are transformers, learn digits, and learn 16 pairs by heart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from runners.classify_input import as_planes
from runners.datasets.chart_drawing import draw_chart
from runners.datasets.chart_facts import CHART_TYPES
from runners.datasets.labelled import make_splits
from runners.datasets.labelled_sources import read_digits
from runners.from_scratch import counting
from runners.from_scratch.vit import Attention, Encoder, to_patches, train_on
from runners.from_scratch.vlm import (
    END,
    IGNORED,
    CausalAttention,
    Pair,
    VisionLanguageModel,
    answer,
    decode,
    encode,
    examples,
    overfit,
)


def test_patches_are_the_squares_of_the_image() -> None:
    images = torch.rand(2, 3, 6, 6)
    patches = to_patches(images, 2)
    assert patches.shape == (2, 9, 12)
    assert torch.equal(patches[1, 5], images[1, :, 2:4, 4:6].reshape(-1))


def test_attention_is_torchs_own() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        layers = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
        tokens = torch.rand(2, 5, 12)
        expected, _ = theirs(tokens, tokens, tokens)
        assert torch.allclose(ours(tokens), expected, atol=1e-6)


def test_no_token_sees_what_comes_later() -> None:
    torch.manual_seed(0)
    attention = CausalAttention(16, 2)
    tokens = torch.rand(1, 6, 16)
    changed = tokens.clone()
    changed[0, 4:] = 0
    with torch.no_grad():
        before, after = attention(tokens), attention(changed)
    assert torch.equal(before[0, :4], after[0, :4])
    assert not torch.allclose(before[0, 4], after[0, 4])


@given(st.text(alphabet="abc 019?\n", max_size=20))
def test_letters_survive(text: str) -> None:
    assert decode([*encode(text), END, *encode("rest")]) == text


def test_only_answers_are_in_the_loss() -> None:
    images, tokens, labels = examples(
        [Pair(torch.zeros(3, 4, 4), "how many?", "12"), Pair(torch.ones(3, 4, 4), "?", "yes")]
    )
    assert (images.shape[0], tokens.shape) == (2, labels.shape)
    for row, text in zip(labels, ("12", "yes"), strict=True):
        assert [int(each) for each in row if each != IGNORED] == [*encode(text), END]
    place = len("how many?\n") - 1
    assert decode([int(labels[0, place])]) == "1"


def test_the_vit_passes_95_percent_on_digits() -> None:
    splits = make_splits(read_digits(), 0.15, 0.15, seed=0)
    losses, share = train_on(splits, size=8, patch=2, epochs=30)
    assert losses[-1] < losses[0] / 10
    assert share >= 0.95


def chart_pairs(count: int) -> list[Pair]:
    pairs = []
    for index in range(count):
        image, asked = draw_chart(CHART_TYPES[index % len(CHART_TYPES)], 32, (7, index))
        question = asked[index % len(asked)]
        pairs.append(Pair(torch.from_numpy(as_planes(image)), question.question, question.answer))
    return pairs


def test_the_vlm_answers_its_16_pairs_exactly() -> None:
    torch.manual_seed(0)
    pairs = chart_pairs(16)
    encoder = Encoder(32, 8, dim=48, depth=2, heads=4)
    model = VisionLanguageModel(encoder, dim=64, depth=2, heads=4)
    losses = overfit(model, pairs, most=250)
    assert losses[-1] < 0.05 < losses[0]
    answers = [answer(model, pair.image, pair.question) for pair in pairs]
    assert answers == [pair.answer for pair in pairs]
    # The image is looked at: the same questions before other images are answered otherwise.
    assert answers != [answer(model, 1 - pair.image, pair.question) for pair in pairs]


def test_a_letter_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="substring"):
        encode("größer")


def test_each_shape_has_its_centre_in_a_patch_of_its_own() -> None:
    seen = counting.look(30, 7)
    for label in range(len(counting.SCENE.classes)):
        assert (seen.centres == 1 + label).sum(dim=1).tolist() == seen.counts[:, label].tolist()
    assert torch.equal(seen.images, counting.look(30, 7).images)
    assert not torch.equal(seen.images, counting.look(30, 8).images)


def test_questions_are_of_one_class_or_of_all() -> None:
    seen = counting.look(30, 7)
    pairs = counting.ask(seen, torch.Generator().manual_seed(0))
    for pair, counts in zip(pairs, seen.counts.tolist(), strict=True):
        kinds = {
            f"how many {name}s?": n for name, n in zip(counting.SCENE.classes, counts, strict=True)
        }
        assert pair.answer == str({counting.ANY: sum(counts), **kinds}[pair.question])


def test_who_never_looks_gives_the_most_frequent_answer() -> None:
    image = torch.zeros(3, 4, 4)
    learned = [Pair(image, "a?", "2"), Pair(image, "a?", "2"), Pair(image, "a?", "0")]
    asked = [Pair(image, "a?", "2"), Pair(image, "a?", "3"), Pair(image, "a?", "2")]
    said = counting.guesses(learned, asked)
    assert said == ["2", "2", "2"]
    assert counting.score(said, asked) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert counting.score(["2", "x", "2"], asked) == (pytest.approx(2 / 3), pytest.approx(1.0))


def test_the_tower_learns_first_and_is_frozen_then() -> None:
    torch.manual_seed(0)
    seen = counting.look(32, 0)
    size = counting.SCENE.image_size
    model = VisionLanguageModel(Encoder(size, 8, dim=16, depth=1, heads=2), 16, 1, 2)
    losses = counting.learn_to_see(model.encoder, seen, 6)
    assert losses[-1] < losses[0]
    tower = {name: each.clone() for name, each in model.encoder.state_dict().items()}
    told: list[tuple[int, float]] = []
    counting.learn_to_count(model, seen, 6, lambda step, loss: told.append((step, loss)))
    assert [step for step, _ in told] == list(range(1, 7))
    assert told[-1][1] < told[0][1]
    now = model.encoder.state_dict()
    assert all(torch.equal(tower[name], now[name]) for name in tower)
    asked = counting.ask(seen, torch.Generator().manual_seed(0))[:3]
    assert len(counting.answers(model, asked)) == 3
