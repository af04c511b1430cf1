"""Inputs and labels, token by token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from PIL import Image  # noqa: E402

from runners.finetuning.encoding import IGNORED, Encoder, on_device  # noqa: E402
from runners.finetuning.training import answer_loss, answer_tokens  # noqa: E402
from tests.runners.finetuning.conftest import QUESTION, picture  # noqa: E402


@pytest.mark.parametrize("generation", ["paligemma", "paligemma2"])
def test_paligemma_is_encoded_as_its_own_processor_does(
    load: Callable[..., Any], generation: str
) -> None:
    base = load(generation)
    ours = Encoder(base).example(picture(9), QUESTION, "dark one")
    theirs = base.processor(
        images=Image.fromarray(picture(9)[:, :, ::-1]),
        text=f"<image>{QUESTION}",
        suffix="dark one",
        return_tensors="pt",
    )
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_qwen2_vl_learns_what_the_assistant_says(load: Callable[..., Any]) -> None:
    base = load("qwen2_vl")
    example = Encoder(base).example(picture(9), QUESTION, "dark one")
    tokens, labels = example["input_ids"][0], example["labels"][0]
    learned = tokens[labels != IGNORED]
    assert base.processor.tokenizer.decode(learned) == "dark one<|im_end|>"
    text = base.processor.tokenizer.decode(tokens)
    assert text.startswith("<|im_start|>user\n<|vision_start|><|image_pad|>")
    assert text.endswith(f"{QUESTION}<|im_end|>\n<|im_start|>assistant\ndark one<|im_end|>")
    assert example["mm_token_type_ids"].shape == example["input_ids"].shape


def test_labels_are_the_answer_and_its_end_and_nothing_else(
    load: Callable[..., Any], family: str
) -> None:
    base = load(family)
    encoder = Encoder(base)
    prompt = encoder.prompt(picture(200), QUESTION)
    example = encoder.example(picture(200), QUESTION, "light")
    length = prompt["input_ids"].shape[1]
    assert torch.equal(example["input_ids"][:, :length], prompt["input_ids"])
    expected = [*base.processor.tokenizer("light")["input_ids"]]
    expected.append(base.processor.tokenizer.eos_token_id)
    for position, label in enumerate(example["labels"][0].tolist()):
        answered = position - length
        assert label == (IGNORED if answered < 0 else expected[answered])
    assert "labels" not in prompt


def test_a_batch_loses_what_its_examples_lose(load: Callable[..., Any], family: str) -> None:
    base = load(family)
    encoder = Encoder(base)
    examples = [
        encoder.example(picture(20), QUESTION, "dark"),
        encoder.example(picture(235), "a longer question: dark or light?", "a light one"),
        encoder.example(picture(90), "?", "x"),
    ]
    batch = encoder.batch(examples)
    with torch.no_grad():
        together = answer_loss(base.model, batch)
        alone = [answer_loss(base.model, encoder.batch([each])) for each in examples]
    torch.testing.assert_close(together, sum(alone), rtol=1e-4, atol=1e-4)
    assert answer_tokens(batch) == 4 + 11 + 1 + 3  # a token a byte, and an end each


def test_the_loss_is_that_of_transformers(load: Callable[..., Any], family: str) -> None:
    base = load(family)
    encoder = Encoder(base)
    batch = on_device(
        encoder.batch([encoder.example(picture(20), QUESTION, "dark")]), base.model.device
    )
    with torch.no_grad():
        theirs = base.model(**batch).loss
        ours = answer_loss(base.model, batch) / answer_tokens(batch)
    torch.testing.assert_close(ours, theirs)


def test_the_prompt_has_no_part_in_the_loss(load: Callable[..., Any], family: str) -> None:
    base = load(family)
    encoder = Encoder(base)
    example = encoder.example(picture(20), QUESTION, "dark")
    with torch.no_grad():
        logits = base.model(**{k: v for k, v in example.items() if k != "labels"}).logits
    first = int((example["labels"][0] != IGNORED).nonzero()[0])
    target = example["input_ids"][0, first:]
    by_hand = -torch.log_softmax(logits[0, first - 1 : -1], -1).gather(1, target[:, None]).sum()
    with torch.no_grad():
        torch.testing.assert_close(answer_loss(base.model, example), by_hand)
