"""Adapters: where they sit, what they change, and that they come back as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from edgelab.problem import Problem  # noqa: E402
from edgelab.settings.finetune import BasePrecision, Lora, Part  # noqa: E402
from runners.finetuning.adapter import (  # noqa: E402
    CONFIG,
    WEIGHTS,
    add_adapters,
    load_adapter,
    merge,
    save_adapter,
)
from runners.finetuning.encoding import Encoder  # noqa: E402
from runners.finetuning.parts import part_of  # noqa: E402
from runners.finetuning.training import answer_loss  # noqa: E402
from tests.runners.finetuning.conftest import QUESTION, picture  # noqa: E402

EVERYWHERE = Lora(parts=tuple(Part), rank=4, alpha=8.0, dropout=0.0)


def logits(model: Any, base: Any) -> Any:
    with torch.no_grad():
        return model(**Encoder(base).prompt(picture(200), QUESTION)).logits


def stir(model: Any) -> None:
    """Give the adapters weights as after a training: B is zero at first."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)


def adapted(load: Callable[..., Any], family: str, precision: BasePrecision) -> tuple[Any, Any]:
    base = load(family, precision)
    model = add_adapters(base.model, EVERYWHERE).eval()
    stir(model)
    return base, model


def test_untrained_adapters_change_nothing(load: Callable[..., Any], family: str) -> None:
    base = load(family)
    before = logits(base.model, base)
    assert torch.equal(logits(add_adapters(base.model, EVERYWHERE).eval(), base), before)


@pytest.mark.parametrize("precision", list(BasePrecision))
@pytest.mark.parametrize(
    "parts", [(Part.LLM,), (Part.VISION,), (Part.PROJECTOR,), (Part.VISION, Part.PROJECTOR)]
)
def test_only_the_chosen_parts_have_gradients(
    load: Callable[..., Any], family: str, parts: tuple[Part, ...], precision: BasePrecision
) -> None:
    base = load(family, precision)
    model = add_adapters(base.model, Lora(parts=parts, rank=2, dropout=0.0))
    encoder = Encoder(base)
    answer_loss(model, encoder.batch([encoder.example(picture(20), QUESTION, "dark")])).backward()
    reached = set()
    for name, weight in model.named_parameters():
        layer = name.removeprefix("base_model.model.").partition(".lora_")[0]
        chosen = ".lora_" in name and part_of(base.model_type, layer) in parts
        assert (weight.grad is not None) is chosen, name
        if ".lora_B." in name and chosen:
            assert weight.dtype == torch.float32
            assert weight.grad.abs().sum() > 0, name
            reached.add(part_of(base.model_type, layer))
    assert reached == set(parts)


@pytest.mark.parametrize("precision", list(BasePrecision))
def test_a_reloaded_adapter_answers_the_same(
    load: Callable[..., Any], family: str, precision: BasePrecision, tmp_path: Path
) -> None:
    base, model = adapted(load, family, precision)
    expected = logits(model, base)
    save_adapter(model, tmp_path / "adapter")
    assert sorted(each.name for each in (tmp_path / "adapter").iterdir()) == [CONFIG, WEIGHTS]
    again = load(family, precision)
    assert not torch.equal(logits(again.model, again), expected)
    assert torch.equal(
        logits(load_adapter(again.model, tmp_path / "adapter").eval(), again), expected
    )


def test_merged_weights_answer_the_same(
    load: Callable[..., Any], family: str, tmp_path: Path
) -> None:
    base, model = adapted(load, family, BasePrecision.FP32)
    expected = logits(model, base)
    merged = merge(model)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    torch.testing.assert_close(logits(merged, base), expected, rtol=1e-4, atol=1e-4)
    merged.save_pretrained(tmp_path)
    base.processor.save_pretrained(tmp_path)
    from runners.finetuning.base_model import load_base

    again = load_base(tmp_path, BasePrecision.FP32)
    weights = again.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in merged.state_dict().items())
    # Weights that lie elsewhere in memory are added up in another order.
    torch.testing.assert_close(logits(again.model, again), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", [BasePrecision.INT8, BasePrecision.NF4])
def test_a_quantised_base_is_not_merged_into(
    load: Callable[..., Any], precision: BasePrecision
) -> None:
    _, model = adapted(load, "paligemma", precision)
    with pytest.raises(Problem, match="not merged into a quantised base"):
        merge(model)


def test_an_adapter_of_another_model_is_refused(load: Callable[..., Any], tmp_path: Path) -> None:
    _, model = adapted(load, "paligemma", BasePrecision.FP32)
    save_adapter(model, tmp_path)
    with pytest.raises(Problem, match="does not fit"):
        load_adapter(load("qwen2_vl").model, tmp_path)


def _cut(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def _pickle(folder: Path) -> None:
    torch.save({}, folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def _other_kind(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "peft_type": "IA3"}))


def _drop_one_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / WEIGHTS)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "not a whole safetensors"),
        (_pickle, "pickled .bin"),
        (_other_kind, "peft_type"),
        (_drop_one_tensor, "does not fit"),
        (shutil.rmtree, "cannot be read"),
    ],
)
def test_a_broken_adapter_is_named(
    load: Callable[..., Any], tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    _, model = adapted(load, "paligemma", BasePrecision.FP32)
    folder = tmp_path / "adapter"
    save_adapter(model, folder)
    spoil(folder)
    with pytest.raises(Problem, match=words) as caught:
        load_adapter(load("paligemma").model, folder)
    assert str(folder) in str(caught.value)
