"""The loop: it learns, and one that was interrupted goes on as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from edgelab.problem import Problem  # noqa: E402
from edgelab.settings.finetune import BasePrecision, Lora, Part, Schedule  # noqa: E402
from runners.finetuning.adapter import add_adapters  # noqa: E402
from runners.finetuning.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402
from runners.finetuning.encoding import Encoder  # noqa: E402
from runners.finetuning.schedule import Batches, warm_cosine  # noqa: E402
from runners.finetuning.training import LoraTraining, NotANumber, mean_loss  # noqa: E402
from tests.runners.finetuning.conftest import COLOURS, QUESTION, picture  # noqa: E402

LORA = Lora(parts=tuple(Part), rank=4, alpha=8.0, dropout=0.1)
SCHEDULE = Schedule(epochs=4, batch=2, accumulate=2, learning_rate=1e-2, seed=3)


class Colours:
    """Six flat images and what their colour is called."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        answer = list(COLOURS)[index % 2]
        return self.encoder.example(picture(COLOURS[answer] + index), QUESTION, answer)


def training(
    load: Callable[..., Any],
    family: str,
    precision: BasePrecision = BasePrecision.FP32,
    schedule: Schedule = SCHEDULE,
) -> LoraTraining:
    base = load(family, precision)
    encoder = Encoder(base)
    torch.manual_seed(schedule.seed)
    model = add_adapters(base.model, LORA)
    return LoraTraining(model, encoder, Colours(encoder), schedule)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_loss_falls(load: Callable[..., Any], family: str, checkpointing: bool) -> None:
    schedule = Schedule(
        epochs=25, batch=6, learning_rate=1e-2, gradient_checkpointing=checkpointing
    )
    loop = training(load, family, schedule=schedule)
    losses = [loop.run_step().loss for _ in range(25)]
    assert losses[-1] < 0.6 * losses[0]
    encoder = Encoder(load(family))
    loss, accuracy = mean_loss(loop.model, encoder, Colours(encoder), 4, lambda _: None)
    assert loss < 0.6 * losses[0]
    assert accuracy > 0.5


def test_gradient_checkpointing_changes_no_gradient(load: Callable[..., Any], family: str) -> None:
    results = []
    for checkpointing in (False, True):
        schedule = Schedule(epochs=2, batch=6, gradient_checkpointing=checkpointing)
        loop = training(load, family, schedule=schedule)
        results.append([loop.run_step() for _ in range(2)])
    for plain, checkpointed in zip(*results, strict=True):
        assert plain.loss == pytest.approx(checkpointed.loss, rel=1e-5)
        assert plain.norm == pytest.approx(checkpointed.norm, rel=1e-4)


def test_accumulated_micro_batches_are_one_batch(load: Callable[..., Any], family: str) -> None:
    norms = []
    for batch, accumulate in ((6, 1), (2, 3), (1, 6)):
        base = load(family)
        encoder = Encoder(base)
        torch.manual_seed(0)
        model = add_adapters(base.model, Lora(parts=tuple(Part), rank=4, dropout=0.0))
        schedule = Schedule(epochs=1, batch=batch, accumulate=accumulate)
        norms.append(LoraTraining(model, encoder, Colours(encoder), schedule).run_step().norm)
    assert norms[1:] == [pytest.approx(norms[0], rel=1e-4)] * 2


@pytest.mark.parametrize("precision", list(BasePrecision))
def test_an_interrupted_training_equals_an_uninterrupted_one(
    load: Callable[..., Any], family: str, precision: BasePrecision, tmp_path: Path
) -> None:
    whole = training(load, family, precision)
    results = [whole.run_step() for _ in range(5)]
    first = training(load, family, precision)
    cut = [first.run_step() for _ in range(3)]  # in the middle of an epoch
    write_checkpoint(tmp_path / "last.pt", first.state(), "this")
    torch.manual_seed(999)
    second = training(load, family, precision)
    state = read_checkpoint(tmp_path / "last.pt", "this")
    assert state is not None
    second.restore(state)
    assert [*cut, *(second.run_step() for _ in range(2))] == results
    assert_equal(second.state(), whole.state())


def assert_equal(one: Any, other: Any) -> None:
    """Equal to the last bit, through dicts and lists."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_a_loss_that_is_no_number_spoils_nothing(load: Callable[..., Any]) -> None:
    loop = training(load, "paligemma")
    before = {name: w.detach().clone() for name, w in loop.model.named_parameters()}
    frozen = next(w for n, w in loop.model.named_parameters() if "vision_tower" in n)
    kept = frozen.detach().clone()
    with torch.no_grad():
        frozen.fill_(math.nan)
    with pytest.raises(NotANumber, match="step 1 of 8"):
        loop.run_step()
    with torch.no_grad():
        frozen.copy_(kept)
    assert_equal(dict(loop.model.named_parameters()), before)
    assert loop.step == 0


@given(
    examples=st.integers(1, 40),
    batch=st.integers(1, 7),
    accumulate=st.integers(1, 4),
    epochs=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
def test_every_epoch_sees_every_example_once(
    examples: int, batch: int, accumulate: int, epochs: int, seed: int
) -> None:
    schedule = Schedule(epochs=epochs, batch=batch, accumulate=accumulate, seed=seed)
    batches = Batches(examples, schedule)
    order = [batches.at(step) for step in range(batches.steps)]
    for epoch in range(epochs):
        steps = order[epoch * batches.steps_per_epoch : (epoch + 1) * batches.steps_per_epoch]
        seen = [index for micro in steps for indices in micro for index in indices]
        assert sorted(seen) == list(range(examples))
        assert all(0 < len(indices) <= batch for micro in steps for indices in micro)
        assert all(0 < len(micro) <= accumulate for micro in steps)
    backwards = Batches(examples, schedule)
    assert [backwards.at(step) for step in reversed(range(batches.steps))] == order[::-1]


@given(steps=st.integers(1, 500), warm=st.floats(0, 0.99))
def test_the_learning_rate_rises_then_falls(steps: int, warm: float) -> None:
    share = warm_cosine(steps, warm)
    shares = [share(step) for step in range(steps)]
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert all(0 < each <= 1 for each in shares)


def test_a_checkpoint_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    assert read_checkpoint(path, "this") is None
    write_checkpoint(path, {"step": 1, "weights": torch.arange(4)}, "this")
    with pytest.raises(Problem, match="of another training"):
        read_checkpoint(path, "that")
    whole = path.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"PK\x03\x04" + bytes(90)):
        path.write_bytes(broken)
        with pytest.raises(Problem, match=r"last\.pt: not a whole checkpoint"):
            read_checkpoint(path, "this")


def test_a_pickle_in_a_checkpoint_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"version": 1, "belongs_to": "this", "state": Trap()}, tmp_path / "last.pt")
    with pytest.raises(Problem, match="not a whole checkpoint"):
        read_checkpoint(tmp_path / "last.pt", "this")
    assert not (tmp_path / "sprung").exists()
